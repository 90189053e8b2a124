"""The bytes on the wire, against the check packets of the protocol's manual and the SDK."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloha_hardware.emulator import packets
from aloha_hardware.emulator.chain import Chain
from aloha_hardware.emulator.packets import Parser
from aloha_hardware.motors import FOLLOWER, MODELS, Motor


@pytest.mark.parametrize(
    ("ident", "code", "parameters", "whole"),
    [
        (1, packets.PING, "", "FF FF FD 00 01 03 00 01 19 4E"),
        (1, packets.READ, "84 00 04 00", "FF FF FD 00 01 07 00 02 84 00 04 00 1D 15"),
        (254, packets.SYNC_READ, "84 00 04 00 01 02", "FF FF FD 00 FE 09 00 82 84 00 04 00 01 02 CE FA"),
        (
            254,
            packets.SYNC_WRITE,
            "74 00 04 00 01 96 00 00 00 02 AA 00 00 00",
            "FF FF FD 00 FE 11 00 83 74 00 04 00 01 96 00 00 00 02 AA 00 00 00 82 87",
        ),
        (254, packets.FAST_SYNC_READ, "84 00 04 00 03 07 04", "FF FF FD 00 FE 0A 00 8A 84 00 04 00 03 07 04 20 F2"),
    ],
)
def test_instruction_packets_equal_those_of_the_manual(ident: int, code: int, parameters: str, whole: str) -> None:
    packet = packets.instruction(ident, code, bytes.fromhex(parameters))
    assert packet == bytes.fromhex(whole)
    (read_back,) = Parser().feed(packet)
    assert (read_back.ident, read_back.code, read_back.parameters) == (ident, code, bytes.fromhex(parameters))


def test_an_empty_status_packet_equals_that_of_the_manual() -> None:
    assert packets.status(1) == bytes.fromhex("FF FF FD 00 01 04 00 55 00 A1 0C")


def test_a_fast_status_packet_carries_the_running_checksum_after_every_motor() -> None:
    # Present Positions 166, 2079 and 1023 of motors 3, 7 and 4: the example of the protocol's manual.
    blocks = [(0, 3, bytes([0xA6, 0, 0, 0])), (0, 7, bytes([0x1F, 8, 0, 0])), (0, 4, bytes([0xFF, 3, 0, 0]))]
    packet = packets.fast_status(blocks)
    assert packet[:8] == bytes.fromhex("FF FF FD 00 FE 19 00 55")
    assert [packet[end - 2 : end].hex(" ") for end in (16, 24, 32)] == ["84 08", "16 ca", "d1 9e"]


def test_parameters_that_look_like_a_header_are_stuffed_and_read_back() -> None:
    data = bytes.fromhex("74 00 FF FF FD 00 FF FF FD FD")
    packet = packets.instruction(1, packets.WRITE, data)
    assert packet[5] == 3 + len(data) + 2
    (read_back,) = Parser().feed(packet)
    assert read_back.parameters == data


def test_packets_are_found_behind_noise_and_in_pieces() -> None:
    parser, packet = Parser(), packets.instruction(7, packets.PING)
    stream = b"\xff\xff\x00\xff" + packet + b"\x12" + packet
    found = [instruction for byte in stream for instruction in parser.feed(bytes([byte]))]
    assert [instruction.ident for instruction in found] == [7, 7]


def test_a_damaged_instruction_is_answered_with_a_checksum_error() -> None:
    chain = Chain([Motor(1, "waist", MODELS["XM540-W270"])])
    packet = bytearray(packets.instruction(1, packets.PING))
    packet[-1] ^= 1
    (damaged,) = Parser().feed(bytes(packet))
    (reply,) = chain.handle(damaged, 0.0)
    assert reply.data == packets.status(1, packets.BAD_CRC)


CODES = st.sampled_from([1, 2, 3, 4, 5, 6, 8, 0x10, 0x20, 0x82, 0x83, 0x8A, 0x92, 0x93, 0x9A])


@settings(max_examples=200, deadline=None)
@given(ident=st.integers(0, 254), code=CODES, parameters=st.binary(max_size=24), firmware=st.sampled_from([44, 46]))
def test_no_instruction_brings_the_chain_down(ident: int, code: int, parameters: bytes, firmware: int) -> None:
    chain = Chain(FOLLOWER[:3], firmware)
    (packet,) = Parser().feed(packets.instruction(ident, code, parameters))
    assert packet.parameters == parameters
    for number, reply in enumerate(chain.handle(packet, 0.0)):
        assert reply.data[:4] == packets.HEADER, number
    chain.advance(0.1)
