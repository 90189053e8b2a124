"""Behaviour of the policy node over real DDS: what it answers and what it refuses."""

from __future__ import annotations

import array
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from policies import INSTRUCTION, tiny_policy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_msgs.msg import String

from aloha_nodes.spinning import spinning
from cosmos_policy.answers import wait_for
from cosmos_policy.messages import chunk_actions, image_array, image_message
from cosmos_policy.plan_messages import jpeg_array, scored_values, settings_message
from cosmos_policy.planner.table import ValueTable
from cosmos_policy.policy_node import PolicyNode
from cosmos_policy.qos import CANCEL_TOPIC, CANCELLATIONS
from cosmos_policy_core.embodiment import Embodiment
from cosmos_policy_core.model.checkpoint import save_policy
from cosmos_policy_core.model.observation import Observation as CoreObservation
from cosmos_policy_core.model.policy import CosmosPolicy
from cosmos_policy_core.planning.aggregate import aggregate
from cosmos_policy_core.planning.compatibility import scale_of
from cosmos_policy_core.planning.planner import BestOfN
from cosmos_policy_core.planning.presets import PlannerSettings
from cosmos_policy_msgs.msg import Observation, PlanSettings, StageTime
from cosmos_policy_msgs.srv import ProposeChunks, ScoreChunks

ONE_VALUE = settings_message(PlannerSettings(futures=1, values=1, pruning=False))

pytestmark = pytest.mark.timeout(60)


class Asker:
    """A client of both services."""

    def __init__(self, context: Context) -> None:
        self.node = Node("asker", context=context)
        self._propose = self.node.create_client(ProposeChunks, "/policy/propose_chunks")
        self._score = self.node.create_client(ScoreChunks, "/policy/score_chunks")
        self._cancel = self.node.create_publisher(String, CANCEL_TOPIC, CANCELLATIONS)

    def propose(self, **fields: object) -> ProposeChunks.Response:
        assert self._propose.wait_for_service(10.0)
        return wait_for(self._propose.call_async(ProposeChunks.Request(**fields)), 20.0, "/policy/propose_chunks")

    def score(self, **fields: object) -> ScoreChunks.Response:
        assert self._score.wait_for_service(10.0)
        return wait_for(self.start_scoring(**fields), 20.0, "/policy/score_chunks")

    def start_proposing(self, **fields: object) -> Future:
        return self._propose.call_async(ProposeChunks.Request(**fields))

    def start_scoring(self, **fields: object) -> Future:
        return self._score.call_async(ScoreChunks.Request(**fields))

    def has_cancel_listener(self) -> bool:
        deadline = time.monotonic() + 10.0
        while not self._cancel.get_subscription_count() and time.monotonic() < deadline:
            time.sleep(0.01)
        return bool(self._cancel.get_subscription_count())

    def cancel(self, plan_id: str) -> None:
        self._cancel.publish(String(data=plan_id))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    save_policy(tiny_policy(), folder)
    return folder


@pytest.fixture(scope="module")
def policy(checkpoint: Path) -> CosmosPolicy:
    return CosmosPolicy.from_pretrained(checkpoint)


@pytest.fixture(scope="module")
def context() -> Iterator[Context]:
    context = Context()
    context.init()
    yield context
    context.try_shutdown()


def make_node(context: Context, checkpoint: Path | str, embodiment: str = "aloha_sim") -> PolicyNode:
    given = {"checkpoint": str(checkpoint), "embodiment": embodiment, "threads": 1, "device": "cpu"}
    return PolicyNode(
        context=context, parameter_overrides=[Parameter(key, value=value) for key, value in given.items()]
    )


@pytest.fixture(scope="module")
def node(context: Context, checkpoint: Path) -> Iterator[PolicyNode]:
    node = make_node(context, checkpoint)
    with spinning(node, threads=node.threads):
        assert node.start()
        yield node


@pytest.fixture(scope="module")
def asker(context: Context, node: PolicyNode) -> Iterator[Asker]:
    asker = Asker(context)
    with spinning(asker.node, threads=2):
        yield asker


@pytest.fixture
def observation() -> Observation:
    contract = Embodiment.load("aloha_sim")
    rng = np.random.default_rng(0)
    message = Observation(
        instruction=INSTRUCTION,
        camera_names=list(contract.camera_names),
        joint_names=list(contract.joint_names),
        proprio=contract.start_action.tolist(),
    )
    message.header.stamp.sec = 12
    message.images = [
        image_message(rng.integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8), camera.name)
        for camera in contract.cameras
    ]
    return message


def as_core(message: Observation) -> CoreObservation:
    images = {name: image_array(image) for name, image in zip(message.camera_names, message.images, strict=True)}
    return CoreObservation(images, np.asarray(message.proprio), message.instruction)


def test_proposals_are_the_cores_own(asker: Asker, policy: CosmosPolicy, observation: Observation) -> None:
    response = asker.propose(observation=observation, n=2, seeds=[5, 6], steps=3, with_latents=True)
    expected = policy.propose(as_core(observation), 2, [5, 6], 3)
    assert (response.status, response.message) == (ProposeChunks.Response.OK, "")
    for k, chunk in enumerate(response.chunks):
        np.testing.assert_allclose(chunk_actions(chunk), expected.actions[k], atol=1e-5)
        assert chunk.value == pytest.approx(expected.values[k], abs=1e-5)
        assert (chunk.candidate_id, chunk.seed, chunk.checkpoint_id) == (k, 5 + k, policy.identity)
        assert chunk.observation_stamp.sec == 12
    assert [stage.stage for stage in response.stages] == [StageTime.ENCODE, StageTime.PROPOSE]
    assert response.stages[1].evaluations == 6


def test_the_same_seed_proposes_the_same_chunk_and_none_a_new_one(asker: Asker, observation: Observation) -> None:
    first, again = (asker.propose(observation=observation, n=1, seeds=[5]).chunks[0] for _ in range(2))
    drawn, drawn_again = (asker.propose(observation=observation, n=1).chunks[0] for _ in range(2))
    assert first.positions == again.positions
    assert drawn.seed != drawn_again.seed
    assert drawn.positions != drawn_again.positions


def test_scores_condition_on_the_sampled_latents(asker: Asker, policy: CosmosPolicy, observation: Observation) -> None:
    chunks = asker.propose(observation=observation, n=2, seeds=[5, 6], steps=2, with_latents=True).chunks
    settings = settings_message(PlannerSettings(futures=2, values=3, future_steps=3, value_steps=3, pruning=False))
    response = asker.score(observation=observation, chunks=chunks, settings=settings, with_images=True)
    core = as_core(observation)
    futures = policy.imagine(core, policy.propose(core, 2, [5, 6], 2), 2, 3)
    expected = policy.evaluate(core, futures, 3, 3)
    assert (response.status, response.checkpoint_id) == (ScoreChunks.Response.OK, policy.identity)
    values, known = (np.array(part) for part in zip(*map(scored_values, response.scores), strict=True))
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert known.all()
    assert (response.certain, response.evaluations_spent, response.evaluations_saved) == (True, 12, 0)
    assert len(response.images) == 3
    assert response.images_of == np.argmax([aggregate(value.ravel()) for value in values])
    assert jpeg_array(response.images[0]).shape == (64, 64, 3)
    assert [stage.stage for stage in response.stages] == [
        StageTime.ENCODE,
        StageTime.IMAGINE,
        StageTime.EVALUATE,
        StageTime.DECODE,
    ]


def test_a_chunk_without_a_latent_is_scored_by_its_actions(asker: Asker, observation: Observation) -> None:
    chunks = asker.propose(observation=observation, n=1, seeds=[5]).chunks
    response = asker.score(observation=observation, chunks=chunks, settings=ONE_VALUE)
    assert response.status == ScoreChunks.Response.OK
    assert np.isfinite(response.scores[0].values).all()


def test_predicted_futures_come_as_one_image_per_camera(asker: Asker, observation: Observation) -> None:
    response = asker.propose(observation=observation, n=2, seeds=[1, 2], with_futures=True)
    assert [image.header.frame_id for image in response.futures] == observation.camera_names * 2


def test_an_unknown_instruction_is_refused_with_the_known_ones(asker: Asker, observation: Observation) -> None:
    observation.instruction = "dance"
    response = asker.propose(observation=observation, n=1)
    assert response.status == ProposeChunks.Response.UNKNOWN_INSTRUCTION
    assert INSTRUCTION in response.message
    assert not response.chunks


def test_observations_that_do_not_fit_the_contract_are_refused(asker: Asker, observation: Observation) -> None:
    def refusal() -> str:
        response = asker.propose(observation=observation, n=1)
        assert response.status == ProposeChunks.Response.BAD_OBSERVATION
        return str(response.message)

    cameras, proprio, joints = observation.camera_names, observation.proprio, observation.joint_names
    observation.camera_names = cameras[::-1]
    assert "in this order" in refusal()
    observation.camera_names, observation.proprio = cameras, [float("nan")] * 14
    assert "finite numbers" in refusal()
    observation.proprio, observation.joint_names = proprio, joints[::-1]
    assert "follower_left/waist" in refusal()
    observation.joint_names, observation.images[0].encoding = joints, "bgr8"
    assert "encoding is 'bgr8'" in refusal()


def test_a_request_for_nothing_tells_that_the_node_is_ready_and_what_it_serves(
    asker: Asker, policy: CosmosPolicy
) -> None:
    for response in (asker.propose(n=0), asker.score()):
        assert (response.status, response.checkpoint_id) == (0, policy.identity)
        assert Embodiment.from_yaml(response.contract) == policy.contract
        assert response.scale == scale_of(policy)


def test_shares_of_two_scorers_lead_to_the_choice_of_one(
    asker: Asker, policy: CosmosPolicy, observation: Observation
) -> None:
    settings = PlannerSettings(n=4, futures=2, values=3, future_steps=3, value_steps=3, depth=2)
    alone = BestOfN(policy, policy, settings=dataclasses.replace(settings, pruning=False))
    seeds = alone.candidate_seeds(5)
    chunks = list(asker.propose(observation=observation, n=4, seeds=seeds, with_latents=True).chunks)
    table = ValueTable(chunks, "majority_mean", 2, 3)
    for share in ([0, 2], [1, 3]):
        response = asker.score(
            observation=observation,
            chunks=[chunks[k] for k in share],
            settings=settings_message(settings),
            finish_best=True,
        )
        assert {state.depth for state in response.states} == {1, 2}
        assert {state.candidate_id for state in response.states} == set(share)
        table.add(share, response)
    decision, certain = table.decide()
    assert certain
    assert decision.index == alone.decide(as_core(observation), 5).chosen


@pytest.mark.parametrize("query", ["propose", "score"])
def test_a_cancelled_plan_frees_the_device_within_a_denoising_step(
    asker: Asker, node: PolicyNode, observation: Observation, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = asker.propose(observation=observation, n=1, seeds=[5], with_latents=True).chunks
    settings = settings_message(PlannerSettings(futures=1, values=1, future_steps=10_000, pruning=False))
    plan = {"observation": observation, "plan_id": f"plan {query}"}
    if query == "propose":
        answer = asker.start_proposing(n=1, seeds=[5], steps=10_000, **plan)
    else:
        answer = asker.start_scoring(chunks=chunks, settings=settings, **plan)
    assert asker.has_cancel_listener()
    asker.cancel("another plan")
    time.sleep(0.3)
    assert not answer.done()
    asker.cancel(plan["plan_id"])
    response = wait_for(answer, 5.0, query)
    assert response.status == ProposeChunks.Response.CANCELLED == ScoreChunks.Response.CANCELLED
    # So is a query of that plan that arrives only now, even before its observation is encoded.
    monkeypatch.setattr(node._queries, "_seen", ("", None))
    with monkeypatch.context() as unable:
        unable.delattr(CosmosPolicy, "encode")
        assert asker.propose(n=1, seeds=[5], **plan).status == ProposeChunks.Response.CANCELLED
    assert asker.propose(n=1, seeds=[5], observation=observation).status == ProposeChunks.Response.OK


def test_a_query_ends_when_the_node_is_deactivated(asker: Asker, node: PolicyNode, observation: Observation) -> None:
    answer = asker.start_proposing(observation=observation, n=1, seeds=[5], steps=10_000)
    time.sleep(0.3)
    node.trigger_deactivate()
    response = wait_for(answer, 5.0, "/policy")
    node.trigger_activate()
    assert response.status in (ProposeChunks.Response.CANCELLED, ProposeChunks.Response.NOT_READY)


def test_a_time_limit_leaves_at_least_the_first_chunk_and_what_is_known(asker: Asker, observation: Observation) -> None:
    response = asker.propose(observation=observation, n=3, seeds=[5, 6, 7], with_latents=True, time_limit=1e-3)
    assert [chunk.seed for chunk in response.chunks] == [5]
    steps = {"future_steps": 2000, "value_steps": 2000}
    settings = settings_message(PlannerSettings(futures=3, values=5, pruning=False, **steps))
    response = asker.score(observation=observation, chunks=response.chunks, settings=settings, time_limit=0.5)
    assert (response.status, response.certain) == (ScoreChunks.Response.OK, False)
    assert response.evaluations_spent < 15
    assert response.evaluations_spent == scored_values(response.scores[0])[1].sum()


def test_an_observation_is_encoded_once_per_plan(
    asker: Asker, node: PolicyNode, observation: Observation, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, encoded = node._queries._policy, []
    monkeypatch.setattr(loaded, "encode", lambda *given: (encoded.append(1), CosmosPolicy.encode(loaded, *given))[1])
    for plan_id in ("first", "second"):
        chunks = asker.propose(observation=observation, n=1, seeds=[5], plan_id=plan_id).chunks
        asker.score(observation=observation, chunks=chunks, settings=ONE_VALUE, plan_id=plan_id)
    assert len(encoded) == 2


def test_counts_that_do_not_fit_are_refused(asker: Asker, observation: Observation) -> None:
    chunks = asker.propose(observation=observation, n=1).chunks
    assert "one seed each" in asker.propose(observation=observation, n=2, seeds=[1]).message
    response = asker.score(observation=observation, chunks=chunks, settings=PlanSettings(futures=0, values=1))
    assert response.status == ScoreChunks.Response.BAD_SETTINGS
    assert "futures is 0" in response.message


def test_chunks_that_do_not_fit_the_contract_are_refused(asker: Asker, observation: Observation) -> None:
    def refusal() -> str:
        response = asker.score(observation=observation, chunks=[chunk], settings=ONE_VALUE)
        assert response.status == ScoreChunks.Response.BAD_CHUNK
        return str(response.message)

    chunk = asker.propose(observation=observation, n=1).chunks[0]
    chunk.latent = array.array("B", b"not a latent")
    assert "cannot be read" in refusal()
    chunk.latent, chunk.positions[3] = array.array("B"), float("nan")
    assert "not a finite number" in refusal()
    chunk.joint_names = chunk.joint_names[::-1]
    assert "in this order" in refusal()


def test_requests_at_the_same_time_wait_their_turn(asker: Asker, observation: Observation) -> None:
    request = ProposeChunks.Request(observation=observation, n=1, seeds=[5])
    client = asker.node.create_client(ProposeChunks, "/policy/propose_chunks")
    assert client.wait_for_service(10.0)
    answers = [client.call_async(request) for _ in range(4)]
    responses = [wait_for(answer, 20.0, "/policy") for answer in answers]
    assert len({tuple(response.chunks[0].positions) for response in responses}) == 1


def test_an_inactive_policy_says_that_it_is_not_ready(asker: Asker, node: PolicyNode, observation: Observation) -> None:
    node.trigger_deactivate()
    response = asker.propose(observation=observation, n=1)
    scored = asker.score(observation=observation, settings=ONE_VALUE)
    node.trigger_activate()
    assert (response.status, scored.status) == (ProposeChunks.Response.NOT_READY, ScoreChunks.Response.NOT_READY)
    assert "policy is inactive" in response.message


def test_outputs_that_are_not_finite_are_a_model_error(
    asker: Asker, node: PolicyNode, observation: Observation
) -> None:
    network = node._queries._policy.network
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(float("nan"))
    response = asker.propose(observation=observation, n=1)
    network.load_state_dict(kept)
    assert response.status == ProposeChunks.Response.MODEL_ERROR
    assert "not finite" in response.message
    assert asker.propose(observation=observation, n=1).status == ProposeChunks.Response.OK


@pytest.mark.parametrize(
    ("checkpoint_name", "embodiment", "reason"),
    [
        ("", "aloha_sim", "parameter checkpoint is empty"),
        ("/no/such/folder", "aloha_sim", "/no/such/folder"),
        ("tiny", "no_such_robot", "no_such_robot"),
        ("tiny", "aloha", "does not match checkpoint"),
    ],
)
def test_a_node_that_cannot_serve_does_not_start_and_says_why(
    context: Context, checkpoint: Path, capfd: pytest.CaptureFixture, checkpoint_name: str, embodiment: str, reason: str
) -> None:
    node = make_node(context, checkpoint if checkpoint_name == "tiny" else checkpoint_name, embodiment)
    assert not node.start()
    node.destroy_node()
    log = capfd.readouterr().err
    assert reason in log
    assert "Traceback" not in log
