"""Archives that want to write elsewhere, to fill the disk, or to be taken for another: nothing is written outside."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.data import _archive
from harness.data._archive import take_out
from harness.errors import DataError
from tests.harness.data.pixels import Published, Server, refusal, tar_gz, tree

NAMES = ("set/one", "set/two")


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    return info, content


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


GOOD = [member("set/one", b"1"), member("set/two", b"2")]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret").write_text("mine")
    return tmp_path / "inside"


@pytest.mark.parametrize(
    "more",
    [
        member("/tmp/harness-absolute", b"x"),
        member("../secret", b"x"),
        member("set/../../secret", b"x"),
        member("set/three", kind=tarfile.SYMTYPE, link="../../secret"),
        member("set", kind=tarfile.SYMTYPE, link=".."),
        member("set/three", kind=tarfile.LNKTYPE, link="../secret"),
        member("set/three", kind=tarfile.CHRTYPE),
        member("set/three", kind=tarfile.FIFOTYPE),
        member("set/\x01three", b"x"),
        member("other", b"x" * 99),
    ],
    ids=lambda each: each[0].name,
)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_not_asked_for_has_no_effect(place: Path, more: tuple[tarfile.TarInfo, bytes], first: bool) -> None:
    archive = place.parent / "a.tar.gz"
    archive.write_bytes(packed(*([more, *GOOD] if first else [*GOOD, more])))
    before = tree(place.parent)
    take_out(archive, NAMES, place)
    assert tree(place) == {"set": None, "set/one": b"1", "set/two": b"2"}
    assert tree(place.parent).items() >= before.items()
    assert len(tree(place.parent)) == len(before) + 3
    assert not Path("/tmp/harness-absolute").exists()


def test_a_name_with_a_dot_in_front_is_the_same_name(place: Path) -> None:
    archive = place.parent / "a.tar"
    archive.write_bytes(packed(member("./set/one", b"1"), member("set//two", b"2")))
    take_out(archive, NAMES, place)
    assert tree(place) == {"set": None, "set/one": b"1", "set/two": b"2"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: packed(*GOOD, member("set/one", b"3")), "it has set/one twice"),
        (lambda: packed(*GOOD, member("./set/one", b"3")), "it has set/one twice"),
        (lambda: packed(GOOD[0], member("set/two", kind=tarfile.SYMTYPE, link="../../secret")), "no ordinary file"),
        (lambda: packed(GOOD[0], member("set/two", kind=tarfile.LNKTYPE, link="set/one")), "no ordinary file"),
        (lambda: packed(GOOD[0], member("set/two", kind=tarfile.DIRTYPE)), "no ordinary file"),
        (lambda: packed(GOOD[0], member("set/two", kind=tarfile.FIFOTYPE)), "no ordinary file"),
        (lambda: packed(GOOD[0]), "it lacks set/two"),
        (lambda: packed(), "it lacks set/one, set/two"),
        (lambda: packed(*GOOD)[:-40], "it cannot be read"),
        (lambda: b"no archive", "it cannot be read"),
        (lambda: b"", "it cannot be read"),
        (lambda: packed(GOOD[0], member("set/two", b"x" * 101)), "has 101 bytes, more than 100"),
        (lambda: packed(*[member(f"{number}") for number in range(30)], *GOOD), "more than 20 members"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_one_that_is_not_what_it_should_be_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, content: Callable[[], bytes], reason: str
) -> None:
    monkeypatch.setattr(_archive, "MOST_BYTES", 100)
    monkeypatch.setattr(_archive, "MOST_MEMBERS", 20)
    archive = place.parent / "a.tar.gz"
    archive.write_bytes(content())
    with pytest.raises(DataError, match="is refused: ") as caught:
        take_out(archive, NAMES, place)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any(path.is_symlink() for path in place.rglob("*"))


class TestAnArchiveOfTheSameMD5:
    """The MD5 of another file can be met, as if somebody had made one; the SHA-256 cannot."""

    @pytest.fixture
    def other(self, cifar10: Published, monkeypatch: pytest.MonkeyPatch) -> bytes:
        content = tar_gz(dict.fromkeys(cifar10.files, b"another"))
        monkeypatch.setattr("torchvision.datasets.utils.check_md5", lambda *_, **__: True)
        monkeypatch.setattr(tarfile, "open", lambda *_, **__: pytest.fail("it was opened"))
        return content

    def test_by_hand(self, cifar10: Published, other: bytes, tmp_path: Path) -> None:
        (tmp_path / "cifar-10-python.tar.gz").write_bytes(other)
        assert "cifar-10-python.tar.gz is corrupt: its SHA-256 is not" in refusal(cifar10.source, tmp_path)
        assert list(tree(tmp_path)) == ["cifar-10-python.tar.gz"]

    def test_from_the_server(self, cifar10: Published, other: bytes, server: Server, tmp_path: Path) -> None:
        server.error, server.files = None, {"cifar-10-python.tar.gz": other}
        assert "could not be fetched: File not found or corrupted: its SHA-256" in refusal(cifar10.source, tmp_path)
        assert tree(tmp_path) == {}


def test_a_file_of_the_same_md5(svhn: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    svhn.put(tmp_path)
    (tmp_path / "test_32x32.mat").write_bytes(b"another")
    monkeypatch.setattr("torchvision.datasets.utils.check_md5", lambda *_, **__: True)
    assert "test_32x32.mat is corrupt: its SHA-256 is not" in refusal(svhn.source, tmp_path)
