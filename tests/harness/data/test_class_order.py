"""The order of class folders: by number or by letters, as listed, in one form of Unicode; and what is said of it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
import torch
from PIL import Image

from harness.data._listing import AUTO, list_parts, order_note, ordered
from harness.data.folder import Folder
from harness.errors import DataError, SettingError
from harness.plugin.dataset import Dataset

NUMBERS = [str(i) for i in range(12)]


@pytest.mark.parametrize(
    ("names", "order", "expected"),
    [
        (NUMBERS, AUTO, NUMBERS),
        (NUMBERS, "names", sorted(NUMBERS)),
        (NUMBERS, "numbers", NUMBERS),
        (["10", "9", "008"], AUTO, ["008", "9", "10"]),
        (["-1", "1", "0"], AUTO, ["-1", "0", "1"]),
        (["0", "1", "other"], AUTO, ["0", "1", "other"]),
        (["class10", "class2"], AUTO, ["class10", "class2"]),  # ImageFolder's order, and what was stored
        (["cat", "dog"], "dog,cat", ["dog", "cat"]),
        (["cat", "dog"], " dog , cat ", ["dog", "cat"]),
        (["²", "1"], AUTO, ["1", "²"]),  # not a number that int reads
    ],
)
def test_orders(names: list[str], order: str, expected: list[str]) -> None:
    assert ordered(names, order) == expected


def test_a_list_may_be_longer_than_the_name_of_a_file() -> None:
    names = [f"a rather long name of a class with the number {number:03d}" for number in range(100)]
    backwards = names[::-1]
    assert ordered(names, ",".join(backwards)) == backwards
    with pytest.raises(SettingError, match="differs in 'one more'"):
        ordered([*names, "one more"], ",".join(backwards))


def test_a_file_in_another_encoding_is_refused_and_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_bytes("\ufeffzèbre\r\nâne\r\n".encode())
    assert ordered(["zèbre", "âne"], str(file)) == ["zèbre", "âne"]
    for encoding in ("latin-1", "utf-16"):
        file.write_bytes("zèbre\nâne\n".encode(encoding))
        with pytest.raises(SettingError, match="save the file as a text in UTF-8"):
            ordered(["zèbre", "âne"], str(file))


def test_a_file_lists_the_classes(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("dog\n\ncat\n", encoding="utf-8")
    assert ordered(["cat", "dog"], str(file)) == ["dog", "cat"]


@pytest.mark.parametrize(
    ("names", "order", "problem"),
    [
        (["cat", "dog"], "numbers", "'cat' is not a number"),
        (["1", "01"], AUTO, "the same number"),
        (["cat", "dog"], "cat", "differs in 'dog'"),
        (["cat", "dog"], "cat,dog,cow", "differs in 'cow'"),
        (["cat", "dog"], "cat,dog,cat", "differs in 'cat'"),
        (["cat", "dog"], "alphabetical", "write names, numbers, all names with commas, or a file"),
    ],
)
def test_orders_that_are_none(names: list[str], order: str, problem: str) -> None:
    with pytest.raises(SettingError, match=problem):
        ordered(names, order)


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        (NUMBERS, "12 classes, in this order: 0, 1, 2, ..., 11; by number, but ImageFolder sorts by letters"),
        (["a", "b"], "2 classes, in this order: a, b"),
        (["class10", "class2"], "by letters, as ImageFolder sorts; for another order, list the classes"),
    ],
)
def test_the_order_is_shown_and_where_it_could_be_another(classes: list[str], told: str) -> None:
    assert told in order_note(classes, AUTO)
    assert "ImageFolder" not in order_note(classes, ",".join(classes))


def folder(root: Path, *names: str, parts: tuple[str, ...] = ("train", "test"), count: int = 3) -> Path:
    for part in parts:
        for level, name in enumerate(names):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (4, 4), (10 * level + i,) * 3).save(root / part / name / f"{i}.png")
    return root


def test_names_are_one_name_in_whatever_form_of_unicode(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Gemüse") for form in ("NFC", "NFD"))
    assert composed != decomposed
    folder(tmp_path, composed, "Obst", parts=("train",))
    folder(tmp_path, decomposed, "Obst", parts=("test",))
    listings = list_parts(tmp_path, ("train", "test"), AUTO)
    assert list(listings["train"]) == list(listings["test"]) == [composed, "Obst"]
    assert ordered([composed, "Obst"], f"Obst,{decomposed}") == ["Obst", composed]
    folder(tmp_path, decomposed, parts=("train",))
    with pytest.raises(DataError, match="two folders with the same Unicode name 'Gemüse'"):
        list_parts(tmp_path, ("train", "test"), AUTO)


def test_labels_follow_the_order_and_the_fingerprint_with_them(tmp_path: Path) -> None:
    root = folder(tmp_path / "images", *NUMBERS)
    made = {order: Folder(path=str(root), class_order=order).load(tmp_path) for order in (AUTO, "names", "numbers")}
    assert made[AUTO].classes == tuple(NUMBERS)
    brightness = made[AUTO].test.images[:, 0, 0, 0] // 10
    assert (brightness == made[AUTO].test.labels).all()
    assert made[AUTO].fingerprint == made["numbers"].fingerprint != made["names"].fingerprint


class TestEvaluationAlone:
    """What an evaluation reads of a folder: the test images that it attacks, and no others."""

    @pytest.fixture
    def decoded(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        names: list[str] = []
        opened = Image.open

        def noting(path: Path) -> Image.Image:
            names.append(path.parent.parent.name)
            return opened(path)

        monkeypatch.setattr(Image, "open", noting)
        return names

    def test_a_limit_decodes_no_more_than_it(self, tmp_path: Path, decoded: list[str]) -> None:
        root = folder(tmp_path / "images", "a", "b")
        data = Folder(path=str(root)).load_for_evaluation(tmp_path, 4)
        assert set(decoded) == {"test"}
        assert len(decoded) == 4 + 2  # the first one's colours and size are looked at before
        assert (len(data.train), len(data.test), data.sampled_from, data.test_total) == (0, 4, 6, 6)
        assert data.test.labels.tolist() == [0, 1, 0, 1]
        assert (data.test.images[:, 0, 0, 0] // 10).tolist() == [0, 1, 0, 1]
        decoded.clear()
        again = Folder(path=str(root)).load_for_evaluation(tmp_path, 4)
        assert decoded == []
        assert again.fingerprint == data.fingerprint

    def test_limits_of_one_folder_are_one_data_set_and_other_bytes_another(self, tmp_path: Path) -> None:
        root = folder(tmp_path / "images", "a", "b")

        def fingerprint(limit: int, **settings: object) -> str:
            return Folder(path=str(root), **settings).load_for_evaluation(tmp_path, limit).fingerprint  # type: ignore[arg-type]

        first = fingerprint(2)
        assert fingerprint(4) == first
        assert (
            len({first, fingerprint(2, image_size=2), fingerprint(2, class_order="b,a"), fingerprint(2, channels=1)})
            == 4
        )
        Image.new("RGB", (4, 4), (200, 0, 0)).save(root / "test" / "b" / "2.png")
        assert fingerprint(2) != first

    def test_the_same_sample_as_of_the_whole(self, tmp_path: Path) -> None:
        root = folder(tmp_path / "images", "a", "b", "c")
        part = Folder(path=str(root)).load_for_evaluation(tmp_path / "one", 5)
        whole = Folder(path=str(root)).load(tmp_path / "two")
        from harness.plugin.images import Images

        images = Images(5, "balanced")
        assert (part.test.images[part.places(images)] == whole.test.images[whole.places(images)]).all()
        assert (part.test.labels[part.places(images)] == whole.test.labels[whole.places(images)]).all()

    def test_what_was_decoded_as_a_whole_is_used_and_named_so(self, tmp_path: Path, decoded: list[str]) -> None:
        source = Folder(path=str(folder(tmp_path / "images", "a", "b")))
        whole = source.load(tmp_path)
        decoded.clear()
        assert source.load_for_evaluation(tmp_path, 2).fingerprint == whole.fingerprint
        assert decoded == []

    def test_a_folder_with_test_images_alone(self, tmp_path: Path) -> None:
        source = Folder(path=str(folder(tmp_path / "images", "a", "b", parts=("test",))))
        data = source.load_for_evaluation(tmp_path, None)
        assert (len(data.train), len(data.test), data.sampled_from, tuple(data.shape)) == (0, 6, None, (3, 4, 4, 2))
        with pytest.raises(DataError, match="has no folder train/"):
            source.load(tmp_path)

    def test_grey(self, tmp_path: Path) -> None:
        data = Folder(path=str(folder(tmp_path / "images", "a", "b")), channels=1).load(tmp_path)
        assert tuple(data.shape) == (1, 4, 4, 2)
        assert data.test.images[0, 0, 0, 0] == 0
        with pytest.raises(SettingError, match="write 3 for RGB, 1 for grey, or 0 for what the images are"):
            Folder(path="x", channels=2)

    def test_a_folder_of_grey_images_stays_grey_and_says_so(self, tmp_path: Path, decoded: list[str]) -> None:
        root = folder(tmp_path / "images", "a", "b")
        for file in root.rglob("*.png"):
            with Image.open(file) as image:
                image.convert("L").save(file)

        def read(**settings: int) -> Dataset:
            return Folder(path=str(root), **settings).load(tmp_path)  # type: ignore[arg-type]

        own, grey, repeated = read(), read(channels=1), read(channels=3)
        assert (own.shape.channels, repeated.shape.channels) == (1, 3)
        assert own.fingerprint == grey.fingerprint != repeated.fingerprint
        assert torch.equal(repeated.test.images, own.test.images.expand(-1, 3, -1, -1))
        told = [note for note in own.notes if "--channels 3 repeats each as RGB" in note]
        assert (len(told), len(own.notes)) == (1, 1 + len(grey.notes))
        decoded.clear()
        assert read().shape.channels == 1
        assert decoded == []  # from the cache, without a look at the images
        sample = [Folder(path=str(root), channels=n).load_for_evaluation(tmp_path / "new", 2) for n in (0, 1)]
        assert sample[0].fingerprint == sample[1].fingerprint
        assert sample[0].shape.channels == 1
        Image.new("RGB", (4, 4), (1, 1, 1)).save(root / "train" / "a" / "0.png")  # one image of colours makes all RGB
        whole = read()
        assert (whole.shape.channels, whole.fingerprint) == (3, read(channels=3).fingerprint)
        part = Folder(path=str(root)).load_for_evaluation(tmp_path / "other", 2)
        assert part.shape.channels == 3  # although every test image is grey
