"""From specs to files: how many files, what becomes of old ones, what one wrong spec does to the others."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_exia.dag_compiler.compiling import Action, Compilation, check_specs
from airflow_provider_exia.dag_compiler.compiling import compile_specs as really_compile
from airflow_provider_exia.dag_compiler.exceptions import ImportCheckFailed, OutputRefused
from airflow_provider_exia.dag_compiler.importing import Imported
from tests.unit.dag_compiler.conftest import SPEC, WriteSpecs, believe

WRONG = SPEC.replace("min_gain", "min_gian")
MANY = [f"m{number:02d}" for number in range(50)]


def compile_specs(specs: list[Path], out: Path, **options: Any) -> Compilation:
    return really_compile(specs, out, import_check=options.pop("import_check", believe), **options)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def dags_in(folder: Path) -> list[str]:
    trees = [ast.parse(text) for text in contents(folder).values()]
    names = [node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return sorted(name for name in names if name.endswith(("_train", "_infer")))


def test_few_specs_get_a_file_each_and_many_are_spread_over_shards(write_specs: WriteSpecs, out: Path) -> None:
    few = compile_specs(write_specs(*MANY[:10]), out / "few")
    many = compile_specs(write_specs(*MANY), out / "many")

    assert [file.name for file in few.files] == [f"{model}.py" for model in MANY[:10]]
    assert [file.name for file in many.files] == [f"exia_fleet_{number:04d}.py" for number in range(4)]
    assert dags_in(out / "many") == sorted(f"{model}_{kind}" for model in MANY for kind in ("train", "infer"))


@pytest.mark.parametrize(("size", "files"), [(0, 50), (20, 5), (100, 1)])
def test_the_size_of_a_shard_can_be_chosen(write_specs: WriteSpecs, out: Path, size: int, files: int) -> None:
    compile_specs(write_specs(*MANY), out, shard_size=size)

    assert len(list(out.iterdir())) == files


def test_one_more_spec_changes_few_shards(write_specs: WriteSpecs, out: Path) -> None:
    models = [f"m{number:03d}" for number in range(500)]
    compile_specs(write_specs(*models), out)
    before = contents(out)

    compile_specs(write_specs(*models, "zz"), out)  # 1,002 DAGs: one shard more, which takes some from each other

    after = contents(out)
    assert len(after) == len(before) + 1 == 41
    there, earlier = dags_of(after), dags_of(before)
    moved = [dag_id for dag_id, name in earlier.items() if there[dag_id] != name]
    assert len(moved) < 1000 / 41 * 2


def dags_of(files: Mapping[str, str]) -> dict[str, str]:
    return {
        node.name: name
        for name, text in files.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name.endswith(("_train", "_infer"))
    }


def test_the_order_of_specs_and_their_folder_do_not_matter(write_specs: WriteSpecs, out: Path, tmp_path: Path) -> None:
    specs = write_specs(*MANY)
    compile_specs(specs, out / "one")
    (tmp_path / "specs").rename(tmp_path / "elsewhere")
    moved = [tmp_path / "elsewhere" / path.name for path in reversed(specs)]

    compile_specs(moved, out / "two")

    assert contents(out / "one") == contents(out / "two")


def test_another_process_folder_and_hash_seed_write_the_same_bytes(
    write_specs: WriteSpecs, out: Path, tmp_path: Path
) -> None:
    more = SPEC + "defaults: {owner: me, retries: 2, retry_delay: 5m}\ntags: [b, a]\nstart_date: 2026-01-01\n"
    specs = write_specs(
        "one", "two", text=more.replace("format: skops", "format: skops, parameters: {b: {z: 1}, a: 2}")
    )
    compile_specs(specs, out)
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from airflow_provider_exia.dag_compiler.compiling import compile_specs\n"
        "from tests.unit.dag_compiler.conftest import believe\n"
        "compile_specs([Path(p) for p in sys.argv[3:]], Path(sys.argv[2]), import_check=believe)"
    )
    for seed in ("1", "4242"):
        there = tmp_path / f"another folder {seed}"
        there.mkdir()
        subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parents[3]), "dags", *map(str, specs)],
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "LC_ALL": "C"}, cwd=there, check=True,
        )  # fmt: skip

        assert {p.name: p.read_bytes() for p in (there / "dags").iterdir()} == {
            p.name: p.read_bytes() for p in out.iterdir()
        }
    assert not any(str(tmp_path) in text for text in contents(out).values())


def test_equal_bytes_are_not_written_again(write_specs: WriteSpecs, out: Path) -> None:
    specs = write_specs("one", "two")
    compile_specs(specs, out)
    before = {path.name: path.stat() for path in out.iterdir()}
    specs[1].write_text(specs[1].read_text().replace("21d", "14d"))

    done = compile_specs(specs, out)

    assert [file.action for file in done.files] == [Action.UNCHANGED, Action.WRITTEN]
    after = {path.name: path.stat() for path in out.iterdir()}
    assert after["one.py"].st_mtime_ns == before["one.py"].st_mtime_ns
    assert after["two.py"].st_ino != before["two.py"].st_ino


def test_a_single_wrong_spec_leaves_the_folder_as_it_is(write_specs: WriteSpecs, out: Path) -> None:
    compile_specs(write_specs("one"), out)
    before = contents(out)

    done = compile_specs(write_specs("one", text=WRONG), out)

    assert [str(error).endswith("did you mean 'min_gain'?") for error in done.wrong] == [True]
    assert contents(out) == before


@pytest.mark.parametrize("models", [MANY[:5], MANY])
def test_a_wrong_spec_among_others_gets_a_file_that_raises_and_its_last_good_dags_stay(
    write_specs: WriteSpecs, out: Path, models: list[str]
) -> None:
    specs = write_specs(*models)
    compile_specs(specs, out)
    before = contents(out)
    write_specs("m03", text=WRONG)

    done = compile_specs(specs, out)

    (error_file,) = contents(out).keys() - before.keys()
    text = contents(out)[error_file]
    with pytest.raises(Exception, match=r"m03\.yaml:5: gate\.min_gian: no such field; did you mean 'min_gain'\?"):
        exec(compile(text, error_file, "exec"), {})
    assert "airflow" in text
    assert "DAG" in text  # or Airflow would take it for no DAG file and not read it
    assert {name: text for name, text in contents(out).items() if name != error_file} == before
    assert [wrong.source for wrong in done.wrong] == [str(specs[3])]

    write_specs("m03")
    mended = compile_specs(specs, out)

    assert contents(out) == before
    assert [file.action for file in mended.files if file.name == error_file] == [Action.REMOVED]


def test_a_wrong_spec_that_was_never_good_costs_the_others_nothing(write_specs: WriteSpecs, out: Path) -> None:
    specs = [*write_specs(*MANY[:49]), *write_specs("bad", text="{{{")]

    compile_specs(specs, out)

    assert len(dags_in(out)) == 98
    assert len([name for name in contents(out) if name.startswith("exia_error_bad_")]) == 1


def test_two_specs_of_one_model_are_told(write_specs: WriteSpecs, out: Path, tmp_path: Path) -> None:
    (one,) = write_specs("one")
    other = tmp_path / "other.yaml"
    other.write_text(one.read_text())

    done = compile_specs([one, one, other], out)

    (wrong,) = done.wrong
    assert "other.yaml: model: 'one' is the model of one.yaml too" in str(wrong)
    assert dags_in(out) == ["one_infer", "one_train"]


def test_when_few_become_many_the_old_files_go_and_the_other_way_round(write_specs: WriteSpecs, out: Path) -> None:
    compile_specs(write_specs(*MANY[:10]), out)
    compile_specs(write_specs(*MANY[:11]), out)
    assert {name[:10] for name in contents(out)} == {"exia_fleet"}

    with pytest.raises(OutputRefused, match=r"holds DAGs of .*m10.*give those specs as well, or say --prune"):
        compile_specs(write_specs(*MANY[:10]), out)
    compile_specs(write_specs(*MANY[:10]), out, prune=True)
    assert sorted(contents(out)) == [f"{model}.py" for model in MANY[:10]]


def test_when_many_become_few_the_last_good_dags_of_a_wrong_spec_stay(write_specs: WriteSpecs, out: Path) -> None:
    specs = write_specs(*MANY[:11])
    compile_specs(specs, out)
    write_specs("m03", text=WRONG)

    for _ in range(2):  # from shards to files, and from files to files
        compile_specs(specs[:10], out, prune=True)

        assert dags_in(out) == sorted(f"{model}_{kind}" for model in MANY[:10] for kind in ("train", "infer"))
        assert [name for name in contents(out) if name.startswith("exia_error_m03")]


def test_a_file_that_was_changed_by_hand_is_compiled_anew_or_stands_in_the_way(
    write_specs: WriteSpecs, out: Path
) -> None:
    specs = write_specs(*MANY[:11])
    compile_specs(specs[:10], out)
    good = contents(out)
    (out / "m00.py").write_text(good["m00.py"] + "\nprint('by hand')\n")

    with pytest.raises(OutputRefused, match=r"m00\.py defines a DAG 'm00_.*changed by hand since, remove it"):
        compile_specs(specs, out)
    compile_specs(specs[:10], out)

    assert contents(out) == good


def test_specs_compiled_one_after_the_other_live_together(write_specs: WriteSpecs, out: Path) -> None:
    compile_specs(write_specs("one"), out)
    compile_specs(write_specs("two"), out)

    assert sorted(contents(out)) == ["one.py", "two.py"]
    compile_specs(write_specs("two"), out, prune=True)
    assert sorted(contents(out)) == ["two.py"]


def test_a_second_fleet_does_not_take_the_place_of_the_first(write_specs: WriteSpecs, out: Path) -> None:
    compile_specs(write_specs(*MANY[:20]), out)
    before = contents(out)

    with pytest.raises(OutputRefused, match="--prune"):
        compile_specs(write_specs(*MANY[30:]), out)

    assert contents(out) == before


@pytest.mark.parametrize(
    "code",
    [
        "@dag(schedule=None)\ndef one_train(): pass",
        "@dag\ndef one_train(): pass",
        "@airflow.sdk.dag()\ndef one_infer(): pass",
        "with DAG('one_train'): pass",
        "d = sdk.DAG(dag_id='one_infer')",
        "@dag(dag_id='one_train')\ndef other(): pass",
    ],
)
def test_a_dag_that_other_code_defines_is_not_defined_twice(write_specs: WriteSpecs, out: Path, code: str) -> None:
    (out / "by_hand").mkdir(parents=True)
    (out / "by_hand" / "dags.py").write_text(code)

    with pytest.raises(OutputRefused, match=r"by_hand/dags\.py defines a DAG 'one_"):
        compile_specs(write_specs("one"), out)

    assert [path.name for path in out.iterdir()] == ["by_hand"]


@pytest.mark.parametrize("code", ["@dag(dag_id='other')\ndef one_train(): pass", "def one_train(): 'dag'", "(dag"])
def test_other_code_that_defines_other_dags_is_left_alone(write_specs: WriteSpecs, out: Path, code: str) -> None:
    out.mkdir()
    (out / "dags.py").write_text(code)

    compile_specs(write_specs("one"), out)

    assert contents(out)["dags.py"] == code


def test_a_file_of_a_person_is_not_overwritten_unseen(write_specs: WriteSpecs, out: Path) -> None:
    out.mkdir()
    (out / "one.py").write_text("# notes of a person\n")

    with pytest.raises(OutputRefused, match=r"one\.py is not by exia compile"):
        compile_specs(write_specs("one"), out)

    assert contents(out) == {"one.py": "# notes of a person\n"}


def test_what_airflow_does_not_take_is_wrong_and_the_rest_is_tried_again(write_specs: WriteSpecs, out: Path) -> None:
    asked: list[int] = []

    def airflow(files: Mapping[str, str]) -> dict[str, Imported]:
        asked.append(sum(text.count("def ") for text in files.values()))
        found = believe(files)
        return {
            name: Imported(
                dags=facts.dags, unbuilt={"m07_dags": "TypeError: no"} if "def m07_dags" in text else {}, errors=()
            )
            for (name, facts), text in zip(found.items(), files.values(), strict=True)
        }

    done = compile_specs(write_specs(*MANY), out, import_check=airflow)

    assert [str(wrong) for wrong in done.wrong] == [
        "m07.yaml: the installed Airflow does not take its DAGs: TypeError: no"
    ]
    assert len(dags_in(out)) == 98
    assert asked == [150, 147]


def test_a_file_that_fails_as_a_whole_stops_the_compilation(write_specs: WriteSpecs, out: Path) -> None:
    def airflow(files: Mapping[str, str]) -> dict[str, Imported]:
        return {name: Imported(dags=(), unbuilt={}, errors=("ImportError: gone",)) for name in files}

    with pytest.raises(ImportCheckFailed, match=r"exia_fleet_0000\.py: ImportError: gone"):
        compile_specs(write_specs(*MANY), out, import_check=airflow)

    assert contents(out) == {}


def test_check_tells_every_difference_and_writes_nothing(write_specs: WriteSpecs, out: Path) -> None:
    specs = write_specs(*MANY[:4])
    compile_specs(specs, out)
    assert check_specs(specs, out) == ([], [])
    (out / "m00.py").write_text((out / "m00.py").read_text().replace("window=3", "window=30"))
    (out / "m01.py").unlink()
    write_specs("m02", text=SPEC.replace("21d", "14d"))
    write_specs("m03", text=WRONG)
    before = contents(out)

    differences, wrong = check_specs(specs, out)

    assert {found.name: found.what for found in differences if "error" not in found.name} == {
        "m00.py": "different",
        "m01.py": "missing",
        "m02.py": "different",
    }
    assert "-    window=30," in differences[1].diff
    assert "+    window=3," in differences[1].diff
    assert len(wrong) == 1
    assert contents(out) == before
