"""Message types of a bag: their definitions, which every bag carries, so that anyone can read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from cosmos_policy_core.errors import RecordingError


@dataclass(frozen=True)
class Topic:
    """A topic of a bag: its type and, where known, the quality of service it is offered with."""

    name: str
    type: str
    definition: str
    digest: str
    reliable: bool = True
    latched: bool = False
    depth: int = 10


class TypeCatalog:
    """Definitions of message types: those of ROS 2 Jazzy, and others from the text of their .msg files.

    Args:
        definitions: `package/msg/Name` -> text of the .msg file.
    """

    def __init__(self, definitions: Mapping[str, str] | None = None) -> None:
        self._store = get_typestore(Stores.ROS2_JAZZY)
        added: dict[str, Any] = {}
        for name, text in (definitions or {}).items():
            added.update(get_types_from_msg(text, name))
        self._store.register(added)

    def topic(self, name: str, kind: str, *, reliable: bool = True, latched: bool = False, depth: int = 10) -> Topic:
        """Describe a topic.

        Raises:
            RecordingError: nobody knows the type.
        """
        try:
            definition, _ = self._store.generate_msgdef(kind, ros_version=2)
            digest = self._store.hash_rihs01(kind)
        except Exception as error:  # rosbags raises KeyError or its own, by type
            raise RecordingError(
                f"{name}: the definition of {kind} is not known ({error!r}). Build or source the package it is from."
            ) from None
        return Topic(name, kind, definition, digest, reliable, latched, depth)

    def serialize(self, message: object, kind: str) -> bytes:
        """Encode a message of :meth:`make` as CDR."""
        return bytes(self._store.serialize_cdr(message, kind))

    def make(self, kind: str, **fields: Any) -> Any:
        """Make a message that :meth:`serialize` understands; every field must be given."""
        return self._store.types[kind](**fields)


def digest_of(kind: str, definition: str) -> str:
    """Compute the hash by which ROS 2 tells versions of a type apart, from the type's full definition."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition, kind))
    return store.hash_rihs01(kind)
