"""Contract files: finding them, reading them, and saying in one sentence what is wrong with one."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from cosmos_policy_core.errors import ContractError

FOLDER = Path(__file__).resolve().parent.parent / "embodiments"

Model = TypeVar("Model", bound=BaseModel)


def shipped_names() -> tuple[str, ...]:
    """Names of the contracts in the package, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def find(name_or_path: str | Path) -> Path:
    """Return the file of a shipped name or of a path."""
    text = str(name_or_path)
    if "/" in text or text.endswith((".yaml", ".yml")) or isinstance(name_or_path, Path):
        return Path(name_or_path).expanduser()
    if text not in shipped_names():
        close = difflib.get_close_matches(text, shipped_names(), n=1)
        hint = f"Did you mean '{close[0]}'? " if close else ""
        raise ContractError(
            f"'{text}' is not a known embodiment. {hint}Use one of: {', '.join(shipped_names())}, or a YAML file."
        )
    return FOLDER / f"{text}.yaml"


def display_name(path: Path) -> str:
    """Name a file as the user knows it: shipped contracts by the folder they are edited in."""
    return f"config/embodiments/{path.name}" if path.resolve().parent == FOLDER else str(path)


def read_text(path: Path) -> str:
    """Read a contract file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ContractError(
            f"{path}: no such file. Use one of: {', '.join(shipped_names())}, or an existing YAML file."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{path}: cannot be read ({error}). Give a readable UTF-8 text file.") from None


def validate(model: type[Model], text: str, source: str) -> Model:
    """Turn YAML text into a model, or raise ContractError with one sentence per problem."""
    data = _parse(text, source)
    try:
        return model.model_validate(_as_tuples(data))
    except ValidationError as error:
        problems = [_sentence(model, data, item) for item in _essential(error.errors())]
        raise ContractError("\n".join(f"{source}: {problem}" for problem in problems)) from None


def dump(model: BaseModel, without: set[str]) -> str:
    """Write a model as YAML without anchors and without some keys, in declared order."""
    data = model.model_dump(mode="json", exclude=without)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice; plain YAML silently keeps the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key '{key}' is given twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        what = getattr(error, "problem", None) or str(error)
        raise ContractError(f"{source}:{where} not valid YAML ({what}). Correct the file there.") from None
    if not isinstance(data, dict):
        raise ContractError(f"{source}: holds {_kind(data)} instead of keys and values. Start from a shipped contract.")
    return data


def _as_tuples(value: Any) -> Any:
    """Make lists tuples: the contract is immutable and converts nothing by itself."""
    if isinstance(value, list):
        return tuple(_as_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _as_tuples(item) for key, item in value.items()}
    return value


def _essential(errors: list[Any]) -> list[Any]:
    """Leave out errors that only follow from another one: a list of bad parts, a mistyped key."""
    places = [item["loc"] for item in errors]
    slips = {
        (*item["loc"][:-1], close[0])
        for item in errors
        if item["type"] == "extra_forbidden"
        for close in [difflib.get_close_matches(str(item["loc"][-1]), _names_beside(errors, item["loc"]), n=1)]
        if close
    }

    def follows(item: Any) -> bool:
        place = item["loc"]
        deeper = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        return (item["type"] == "too_short" and deeper) or (item["type"] == "missing" and place in slips)

    return [item for item in errors if not follows(item)]


def _names_beside(errors: list[Any], place: tuple[Any, ...]) -> list[str]:
    """Keys missing from the block in which `place` is not allowed."""
    return [str(e["loc"][-1]) for e in errors if e["type"] == "missing" and e["loc"][:-1] == place[:-1]]


def _sentence(model: type[BaseModel], data: Any, item: Any) -> str:
    """One sentence for one pydantic error: key, what, remedy."""
    location, kind, value, context = item["loc"], item["type"], item["input"], item.get("ctx", {})
    key = _key(location, data)
    if kind == "extra_forbidden":
        siblings = _siblings(model, location[:-1])
        close = difflib.get_close_matches(str(location[-1]), siblings, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"Use one of: {', '.join(siblings)}."
        return f"{key}: is not a known key. {hint}"
    if kind == "missing":
        return f"{key}: is missing. Add it."
    if kind == "literal_error":
        return f"{key}: {value!r} is unknown. Use {_choices(context['expected'])}."
    if kind == "value_error":
        message = str(context["error"])
        return f"{key}{'.' if _starts_with_key(message) and key else ': ' if key else ''}{message}"
    if kind == "string_pattern_mismatch":
        return f"{key}: {value!r} is not a valid name. Match {context['pattern']}."
    if kind in ("too_short", "too_long"):
        return f"{key}: has {context['actual_length']} entries. {_rule(item['msg'])}"
    if kind in ("greater_than", "greater_than_equal", "less_than_equal", "finite_number"):
        return f"{key}: {value!r} is out of range. {_rule(item['msg'])}"
    wanted = _WANTED.get(kind)
    if wanted:
        return f"{key}: found {_kind(value)} {_short(value)}. Give {wanted}."
    return f"{key}: {item['msg']}."


_WANTED = {
    "float_type": "a number without quotes",
    "int_type": "a whole number without quotes",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "model_type": "a block of keys and values",
    "dict_type": "a block of keys and values",
    "model_attributes_type": "a block of keys and values",
}


def _choices(expected: str) -> str:
    """Pydantic's "'a', 'b' or 'c'" as our "one of: a, b, c"."""
    names = expected.replace("'", "").replace(" or ", ", ")
    return f"one of: {names}" if "," in names else names


def _rule(message: str) -> str:
    """Pydantic's own rule, as a request."""
    return (
        message.replace("Input should be a finite number", "Use a finite number")
        .replace("Input should be", "Use a number")
        .replace("Tuple should have", "Give")
        + "."
    )


def _starts_with_key(message: str) -> bool:
    head = message.split(":", 1)[0] if ":" in message else ""
    return bool(head) and " " not in head


def _key(location: tuple[Any, ...], data: Any) -> str:
    """Write a location as a path, `arms[1].gripper.state`, leaving out the <tags> of unions."""
    text, here = "", data
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
            here = here[part] if isinstance(here, list) and part < len(here) else None
        elif part.startswith("<"):
            continue
        else:
            text += f".{part}" if text else str(part)
            here = here.get(part) if isinstance(here, dict) else None
    return text


def _siblings(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Keys that would have been allowed where an unknown one was found."""
    here: Any = model
    for part in location:
        if isinstance(part, int) or part.startswith("<") or part not in here.model_fields:  # a key of a mapping
            continue
        annotation = here.model_fields[part].annotation
        found = _models(annotation)
        if not found:
            return []
        here = found[0]
    return list(here.model_fields)


def _models(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models(argument)]


def _kind(value: Any) -> str:
    names = {
        dict: "a block",
        list: "a list",
        tuple: "a list",
        str: "the text",
        bool: "the switch",
        int: "the number",
        float: "the number",
    }
    return "nothing" if value is None else names.get(type(value), type(value).__name__)


def _short(value: Any) -> str:
    text = "" if value is None or isinstance(value, (dict, list, tuple)) else repr(value)
    return text[:60]
