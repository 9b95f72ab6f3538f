"""Which boards are not shown unless they are asked for: those of which a larger board has every figure.

A protocol that gets one more attack has another fingerprint, and so another board. Networks that were trained under
the old protocol stand on both boards, with the same evaluations under the attacks of both. Once the new attack was run
on all of them, the old board shows nothing that the new one does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from harness.leaderboard.board import Board, Selection
from harness.leaderboard.contestants import Contestant
from harness.store.records import ProtocolRecord
from harness.store.scope import Dated, Scope, newest_examinations
from harness.store.standing import Evaluated

Held = tuple[Board, list[Sequence[Contestant]]]
"""A measured board, and the networks of each of its rows."""


def without_superseded(boards: Sequence[Held], protocols: Iterable[ProtocolRecord], selection: Selection) -> list[Held]:
    """The measured boards of a store without those that are superseded, unless the selection names a fingerprint.

    A board is superseded by another one of the same data set, test images, name of the protocol, training, and attack
    budget, which has all of the board's attacks with their settings, and more. Every network of the board stands on
    the other one, and has an evaluation under each of its attacks. If a network was examined on the board, it was on
    the other one, too: else its flags would be hidden.

    Args:
        boards: all measured boards of a store. Their networks are read, and not their rows.
    """
    trainings = {protocol.fingerprint: protocol.training_sha256 for protocol in protocols}
    alike: dict[tuple[object, ...], list[Held]] = defaultdict(list)
    for held in boards:
        board, _ = held
        alike[board.dataset_fingerprint, board.images, board.protocol, trainings[board.fingerprint]].append(held)
    old = {id(held[0]) for group in alike.values() for held in group if any(_within(held, other) for other in group)}
    return [held for held in boards if id(held[0]) not in old or selection.fingerprint_of(held[0])]


def _within(held: Held, other: Held) -> bool:
    """Whether the other board has every figure and every flag of the board, and further attacks."""
    (board, rows), (larger, others) = held, other
    if not board.attacks.items() < larger.attacks.items() or _budget(board.scope) != _budget(larger.scope):
        return False
    there = {id(network) for kin in others for network in kin}  # both boards hold the same objects
    return all(
        id(network) in there and _attacked(network, larger) and _examined(network, board) <= _examined(network, larger)
        for kin in rows
        for network in kin
    )


def _budget(scope: Scope | None) -> Scope | None:
    """What a board's scope says of the attacks' budget, whatever the attacks."""
    return None if scope is None else replace(scope, attacks={})


def _attacked(network: Contestant, board: Board) -> bool:
    """Whether the network has a complete evaluation under each attack of the board."""
    held: Sequence[Evaluated] = network.checkpoint.evaluations
    done = {(e.attack, e.settings_sha256) for e in held if e.complete and e.images == board.images}
    return board.attacks.items() <= done


def _examined(network: Contestant, board: Board) -> set[object]:
    """The kinds of the examinations that were made of the network in the board's scope."""
    if board.scope is None:
        return set()
    held: Sequence[Dated] = network.checkpoint.examinations
    return {examination.settings["kind"] for examination in newest_examinations(held, board.scope)}
