"""The examples: their results, the states between iterations, and manifests that match their classes."""

import json
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from dev.tools import examples
from podrelay.sdk import loading
from podrelay.testing import run_task

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def wordcount() -> ModuleType:
    return loading.load_module(str(ROOT / "examples/wordcount/wordcount.py"))


@pytest.fixture(scope="module")
def tidy() -> ModuleType:
    return loading.load_module(str(ROOT / "examples/abort/tidy.py"))


@pytest.fixture
def library(wordcount: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A standard library of three files."""
    files = []
    for number, text in enumerate(("Spam spam egg", "spam egg ham_ham", "bacon x")):
        files.append(tmp_path / f"{number}.py")
        files[-1].write_text(text, encoding="utf-8")
    monkeypatch.setattr(wordcount, "source_files", lambda: files)
    return files


def test_words_of_three_or_more_letters_are_counted_in_lower_case(wordcount: ModuleType) -> None:
    assert wordcount.words_of("The the_end of def X9yz THE") == Counter({"the": 3, "end": 1, "def": 1})


def test_the_most_frequent_counts_are_kept(wordcount: ModuleType) -> None:
    assert wordcount.most_frequent({"a": 1, "b": 3, "c": 2}, 2) == {"b": 3, "c": 2}


def test_the_files_are_those_of_the_standard_library_in_a_fixed_order(wordcount: ModuleType) -> None:
    files = wordcount.source_files()

    assert len(files) > 300
    assert files == sorted(files)
    assert any(file.name == "argparse.py" for file in files)
    assert not any("site-packages" in file.parts for file in files)


def test_counting_in_slices_gives_the_same_result_as_counting_at_once(
    wordcount: ModuleType, library: list[Path]
) -> None:
    sliced = run_task(wordcount.WordCount, {"slice_seconds": 1e-9})
    whole = run_task(wordcount.WordCount)

    assert (sliced.iterations, whole.iterations) == (3, 1)
    assert sliced.output == whole.output
    assert sliced.output == {
        "files": 3,
        "words": 8,
        "top": [["spam", 3], ["egg", 2], ["ham", 2], ["bacon", 1]],
    }
    assert sliced.message == "8 words in 3 files"
    assert (sliced.records[-1].progress, sliced.records[-1].progress_message) == (100.0, "3/3 files")


def test_the_state_between_iterations_stays_small(wordcount: ModuleType) -> None:
    everything = Counter[str]()
    for file in wordcount.source_files()[:100]:
        everything.update(wordcount.words_of(file.read_text(encoding="utf-8", errors="replace")))

    kept = wordcount.most_frequent(everything, wordcount.KEPT)
    result = run_task(wordcount.WordCount, {"slice_seconds": 1e-9, "counts": kept}, abort_at_iteration=2)

    assert len(json.dumps(result.records[0].input)) < 10 * 1024


def test_an_aborted_count_reports_its_progress(wordcount: ModuleType, library: list[Path]) -> None:
    result = run_task(wordcount.WordCount, abort_when=lambda moment: moment.message == "2/3 files")

    assert result.phase == "Aborted"
    assert result.records[0].message == "stopped after 2 of 3 files"


def test_an_aborted_tidy_leaves_nothing_behind(
    tidy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidy.tempfile, "tempdir", str(tmp_path))

    result = run_task(
        tidy.Tidy,
        {"items": 10, "seconds_per_item": 0},
        abort_when=lambda moment: moment.message == "3/10 items",
        abort_message="seen enough",
    )

    assert result.phase == "Aborted"
    assert result.records[0].message == "removed 3 files"
    assert result.logs[0].message == "aborted (seen enough): removed 3 files, nothing is left behind"
    assert list(tmp_path.iterdir()) == []


def test_a_tidy_that_is_not_aborted_is_done(tidy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidy.tempfile, "tempdir", str(tmp_path))

    result = run_task(tidy.Tidy, {"items": 2, "seconds_per_item": 0})

    assert (result.message, result.output) == ("2 items done", {"items": 2})


@pytest.mark.parametrize("folder", examples.SOURCES)
def test_the_definition_is_the_one_that_podrelay_manifests_prints(folder: str, tmp_path: Path) -> None:
    examples.write(tmp_path)

    fresh = (tmp_path / "examples" / folder / "definition.yaml").read_text(encoding="utf-8")

    assert (ROOT / "examples" / folder / "definition.yaml").read_text(encoding="utf-8") == fresh


@pytest.mark.parametrize("folder", examples.SOURCES)
def test_the_run_names_its_definition_and_has_valid_input(folder: str) -> None:
    place = ROOT / "examples" / folder
    definition, run, kustomization = (
        yaml.safe_load((place / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("definition", "run", "kustomization")
    )

    assert kustomization["resources"] == ["definition.yaml", "run.yaml"]
    assert run["spec"]["definition"] == definition["metadata"]["name"]
    schema = definition["spec"].get("inputSchema")
    assert schema is None or run["spec"]["input"].keys() <= schema["properties"].keys()
