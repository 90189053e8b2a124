"""Install the nodes, the graph they form and its front doors."""

from glob import glob

from setuptools import find_packages, setup

NAME = "cosmos_policy"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", glob("launch/*.launch.py")),
        (f"share/{NAME}/config", glob("config/*.yaml") + glob("config/*.xml")),
        (f"share/{NAME}/config/embodiments", glob("config/embodiments/*.yaml")),
        (f"share/{NAME}/config/embodiments/hardware", glob("config/embodiments/hardware/*.yaml")),
        (f"share/{NAME}/config/foxglove", glob("config/foxglove/*.json")),
        (f"share/{NAME}/config/rerun", glob("config/rerun/*.rbl")),
        (f"share/{NAME}/rviz", glob("rviz/*.rviz")),
        ("bin", ["bin/cosmos-policy-launch"]),
    ],
    python_requires=">=3.10",
    install_requires=["av", "honcho", "numpy", "Pillow", "PyYAML", "rich", "safetensors", "viser"],
    zip_safe=False,
    maintainer="cosmos_policy maintainers",
    maintainer_email="maintainers@cosmos-policy.invalid",
    description="ROS 2 nodes that perceive, plan and act with a cosmos_policy_core checkpoint.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "policy_node = cosmos_policy.entry:policy_node",
            "scorer_node = cosmos_policy.entry:scorer_node",
            "planner_node = cosmos_policy.entry:planner_node",
            "emergency_stop_node = cosmos_policy.entry:emergency_stop_node",
            "chunk_executor_node = cosmos_policy.entry:chunk_executor_node",
            "episode_recorder_node = cosmos_policy.entry:episode_recorder_node",
            "episode_replay_node = cosmos_policy.entry:episode_replay_node",
            "record_keys = cosmos_policy.recorder.keys:main",
            "monitor_node = cosmos_policy.entry:monitor_node",
            "live_view_node = cosmos_policy.entry:live_view_node",
            "demo = cosmos_policy.demo.main:main",
            "emergency_stop = cosmos_policy.stop_command:main",
            "faults = cosmos_policy.faults.main:main",
        ],
        "cosmos_policy.doctor_checks": ["ros = cosmos_policy.doctor:check"],
    },
)
