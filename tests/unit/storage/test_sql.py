"""What is particular to documents in SQLite."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.records import MODEL_JOURNAL, VERSIONS
from airflow_provider_exia.storage.codec import DamagedDocument
from airflow_provider_exia.storage.documents import (
    Collection,
    Query,
    StoreRefused,
    StoreUnavailable,
    WriteConflict,
    WriteUnknown,
)
from airflow_provider_exia.storage.sql import SqlDocuments
from airflow_provider_exia.storage.sql_commits import SharedCommits
from airflow_provider_exia.storage.sql_mysql import Mysql
from tests.processes import alone, obey_permissions

THINGS = Collection(name="things", fields={"name": str, "rank": int}, unique=(("name",),), indexes=(("rank",),))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the store's file is, or will be."""
    return tmp_path / "library.db"


@pytest.fixture
def documents(database: Path) -> Iterator[SqlDocuments]:
    """A fresh store."""
    store = SqlDocuments(f"sqlite:///{database}")
    yield store
    store.close()


def pragma(documents: SqlDocuments, name: str) -> object:
    """Ask on the store's own connection: most of these are not kept in the file."""
    with documents._connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_every_commit_is_durable_and_readers_do_not_wait_for_writers(documents: SqlDocuments) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})

    found = {name: pragma(documents, name) for name in ("journal_mode", "synchronous", "busy_timeout")}

    full = 2
    assert found == {"journal_mode": "wal", "synchronous": full, "busy_timeout": 30_000}


def test_every_index_of_a_collection_is_in_the_database_under_its_own_name(
    documents: SqlDocuments, database: Path
) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})

    with sqlite3.connect(database) as connection:
        made = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'exia_things'")
        assert sorted(name for (name,) in made) == ["exia_things__name", "exia_things__rank"]
    connection.close()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite://someone:secret@server",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:shared?mode=memory&cache=shared&uri=true",
    ],
)
def test_a_database_in_memory_is_refused_with_what_to_give_instead(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"give a file, as in sqlite:////var/lib/exia/library\.db") as refused:
        SqlDocuments(url)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        *("", "library.db", "sqlite:library.db", "someone:secret@server/database"),
        *("postgresql://someone:se@cret@server/database", "mysql://someone:@secret@server/database"),
        *("postgresql://someone:secret/database", "mysql://someone:secret@server:port/database"),
    ],
)
def test_what_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInput, match="no database URL") as refused:
        SqlDocuments(url)

    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("url", ["postgresql://ann:secret@host", "mysql://ann:secret@host/", "mariadb://host?x=secret"])
def test_a_server_without_a_database_is_refused_with_what_to_add(url: str) -> None:
    with pytest.raises(InvalidInput, match="host/?.* names no database: .*behind the host") as refused:
        SqlDocuments(url)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql+asyncpg://ann:secret@host/exia", "expected psycopg2 or psycopg behind"),
        ("mysql+asyncmy://ann:secret@host/exia", "expected mysqldb or pymysql behind"),
    ],
)
def test_a_driver_that_waits_in_another_way_is_refused_by_name(url: str, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected) as refused:
        SqlDocuments(url)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"name": "x" * 513, "rank": 1}, "must have at most 512 bytes as UTF-8, not 513"),
        ({"name": "é" * 257, "rank": 1}, "must have at most 512 bytes as UTF-8, not 514"),
        ({"name": "a", "rank": 2**63}, "must be a number of 64 bits"),
        ({"name": "a", "rank": 1, "text": "x" * (15 * 2**20)}, "keeps at most 15 MiB"),
    ],
    ids=["long text", "long in bytes", "large number", "large document"],
)
def test_what_another_store_would_not_take_is_refused_here_too(
    documents: SqlDocuments, document: dict[str, object], problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        documents.insert(THINGS, document)

    assert documents.find(THINGS, Query(order="name")) == []


def test_a_query_compares_with_nothing_but_declared_fields_and_plain_values(documents: SqlDocuments) -> None:
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: documents.get(THINGS, {"name": {"$gt": ""}}), "must be str"),
        (lambda: documents.delete(THINGS, {"colour": "red"}), "'colour' is not one of its fields"),
        (lambda: documents.find(THINGS, Query(order="rank", at_least="1")), "must be int"),
    ]

    for call, problem in calls:
        with pytest.raises(ValueError, match=problem):
            call()


def test_the_folder_is_made_at_first_use(tmp_path: Path) -> None:
    documents = SqlDocuments(f"sqlite:///{tmp_path}/not/yet/there/library.db")

    documents.insert(THINGS, {"name": "a", "rank": 1})

    assert (tmp_path / "not" / "yet" / "there" / "library.db").is_file()
    documents.close()


def test_opening_a_store_touches_nothing(tmp_path: Path) -> None:
    SqlDocuments(f"sqlite:///{tmp_path}/folder/library.db").close()

    assert list(tmp_path.iterdir()) == []


def test_a_path_below_a_file_is_refused_for_good(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    documents = SqlDocuments(f"sqlite:///{tmp_path}/file/library.db")

    with pytest.raises(StoreRefused, match="cannot make the folder .*file.*nothing was written"):
        documents.insert(THINGS, {"name": "a", "rank": 1})


def test_a_file_of_something_else_is_refused_for_good(database: Path, documents: SqlDocuments) -> None:
    database.write_bytes(b"This is no database at all. " * 400)

    with pytest.raises(StoreRefused, match=r"library\.db: it is not a SQLite database"):
        documents.get(THINGS, {"name": "a"})


def write_where_only_reading_is_allowed(folder: Path) -> str:
    obey_permissions()
    with pytest.raises(StoreRefused) as refused:
        SqlDocuments(f"sqlite:///{folder}/library.db").insert(THINGS, {"name": "b", "rank": 1})
    return str(refused.value)


@pytest.mark.parametrize("filled", [False, True], ids=["empty folder", "store in use before"])
def test_a_read_only_folder_is_refused_for_good(documents: SqlDocuments, database: Path, filled: bool) -> None:
    if filled:
        documents.insert(THINGS, {"name": "a", "rank": 1})
        documents.close()
        database.chmod(stat.S_IRUSR)
    database.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)

    try:
        message = alone(write_where_only_reading_is_allowed, database.parent)
    finally:
        database.parent.chmod(stat.S_IRWXU)

    assert "library.db" in message
    assert "nothing was written" in message
    assert "read-only" in message or "may this user write there?" in message


def test_a_full_database_is_refused_and_keeps_what_it_had(documents: SqlDocuments) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})
    with documents._connect() as connection:  # the store keeps using this one connection
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StoreRefused, match="the disk is full; nothing was written"):
        documents.insert(THINGS, {"name": "large", "rank": 1, "text": "x" * 100_000})

    assert [found["name"] for found in documents.find(THINGS, Query(order="name"))] == ["a"]
    documents.swap(THINGS, {"name": "a", "rank": 2}, revision=1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_really_full_disk_is_refused_and_writing_goes_on_when_there_is_room(small_disk: Path) -> None:
    documents = SqlDocuments(f"sqlite:///{small_disk}/library.db")
    documents.insert(THINGS, {"name": "a", "rank": 1})
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize))

    with pytest.raises(StoreRefused, match="the disk is full; nothing was written"):
        documents.insert(THINGS, {"name": "b", "rank": 1, "text": "x" * 20_000})
    filler.unlink()
    documents.insert(THINGS, {"name": "c", "rank": 1, "text": "x" * 20_000})

    assert [found["name"] for found in documents.find(THINGS, Query(order="name"))] == ["a", "c"]
    documents.close()


def test_a_first_read_does_not_wait_for_a_writer(documents: SqlDocuments, database: Path) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    reader = SqlDocuments(f"sqlite:///{database}", busy_timeout=timedelta(milliseconds=50))

    found = reader.get(THINGS, {"name": "a"})

    other.execute("ROLLBACK")
    assert found == {"name": "a", "rank": 1, "revision": 1}
    reader.close()
    other.close()


def read_where_only_reading_is_allowed(database: Path) -> object:
    obey_permissions()
    return SqlDocuments(f"sqlite:///{database}").get(THINGS, {"name": "a"})


def test_a_library_that_is_read_only_can_be_read(documents: SqlDocuments, database: Path) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})
    database.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)

    found = alone(read_where_only_reading_is_allowed, database)

    assert found == {"name": "a", "rank": 1, "revision": 1}


def test_a_read_makes_no_table(documents: SqlDocuments, database: Path) -> None:
    found = documents.find(THINGS, Query(order="name"))

    connection = sqlite3.connect(database)
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    connection.close()
    assert (list(found), tables) == ([], (0,))


def test_a_writer_that_is_kept_waiting_too_long_hears_that_nothing_was_written(
    documents: SqlDocuments, database: Path
) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})
    impatient = SqlDocuments(f"sqlite:///{database}", busy_timeout=timedelta(milliseconds=50))
    impatient.find(THINGS, Query(order="name"))
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match=r"busy with other writers for 0\.05 s; nothing was written"):
        impatient.insert(THINGS, {"name": "b", "rank": 1})
    read_meanwhile = impatient.get(THINGS, {"name": "a"})
    other.execute("ROLLBACK")

    assert read_meanwhile is not None
    assert impatient.get(THINGS, {"name": "b"}) is None
    impatient.insert(THINGS, {"name": "b", "rank": 1})
    impatient.close()
    other.close()


def test_a_writer_waits_for_another_one_and_then_writes(documents: SqlDocuments, database: Path) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})
    other = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.1, other.execute, ["COMMIT"])

    release.start()
    documents.insert(THINGS, {"name": "b", "rank": 1})

    release.join()
    assert documents.get(THINGS, {"name": "b"}) is not None
    other.close()


def test_a_commit_without_an_answer_is_an_unknown_outcome(
    documents: SqlDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})

    def no_answer(_connection: sa.engine.Connection) -> None:
        # A disk that fails inside the commit cannot be had here.
        failure = sqlite3.OperationalError("disk I/O error")
        failure.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise sa.exc.OperationalError("COMMIT", None, failure)

    monkeypatch.setattr(sa.engine.Connection, "commit", no_answer)

    with pytest.raises(WriteUnknown, match="no word whether it was committed"):
        documents.insert(THINGS, {"name": "b", "rank": 1})


@pytest.mark.parametrize("body", ["{", "", "3", "null", "[" * 100_000, b"\xff", 7])
def test_a_text_that_is_no_json_object_is_damaged_and_named(
    documents: SqlDocuments, database: Path, body: object
) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE exia_things SET body = ?", [body])
    connection.close()

    reads = (lambda: documents.get(THINGS, {"name": "a"}), lambda: documents.find(THINGS, Query(order="rank")))
    for read in reads:
        with pytest.raises(
            DamagedDocument, match=r"document of 'things' \(name 'a'\) is .* 'body': it is no JSON object"
        ):
            read()


def test_two_processes_that_make_a_counter_at_once_both_get_a_number(database: Path) -> None:
    # SQLite has one writer at a time; a database with several says that the row is there, and the caller asks again.
    stores = [SqlDocuments(f"sqlite:///{database}") for _ in range(2)]

    numbers = [store.next_number("counter") for store in stores]

    assert numbers == [1, 2]
    for store in stores:
        store.close()


def test_a_conflict_inside_a_write_leaves_no_lock_behind(documents: SqlDocuments, database: Path) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})
    with pytest.raises(WriteConflict):
        documents.insert(THINGS, {"name": "a", "rank": 1})

    other = sqlite3.connect(database, isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")

    other.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_hold_is_refused(documents: SqlDocuments, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        documents.insert(THINGS, {"name": "a", "rank": 1, "value": value})


def test_a_query_is_answered_from_its_index_without_sorting(documents: SqlDocuments, database: Path) -> None:
    # Where a tie-break repeats what is fixed already, SQLite reads every version of the model instead.
    about = [
        (VERSIONS, Query(where={"model": "m", "work": "w"}, order="number", descending=True)),
        (MODEL_JOURNAL, Query(where={"model": "m", "token": "t"}, order="sequence", limit=1)),
    ]
    plans = []
    for collection, query in about:
        statement = str(documents._made_statements(collection).find(query).compile(dialect=sqlite.dialect()))
        with sqlite3.connect(database) as connection:
            steps = connection.execute(f"EXPLAIN QUERY PLAN {statement}", ["x"] * statement.count("?"))
            plans.append("; ".join(step[3] for step in steps))
        connection.close()

    assert plans == [
        "SEARCH exia_versions USING INDEX exia_versions__model_work_number (model=? AND work=?)",
        "SEARCH exia_model_journal USING INDEX exia_model_journal__model_token_sequence (model=? AND token=?)",
    ]


@pytest.mark.parametrize("seconds", [0.2, 1, 1.9, 2, 5, 30])
def test_mariadb_gives_up_a_lock_before_its_client_gives_up_the_server(seconds: float) -> None:
    arguments = Mysql(sa.make_url("mysql+pymysql://exia@localhost/exia"), seconds=seconds).arguments()

    locks = int(re.findall(r"innodb_lock_wait_timeout = (\d+)", arguments["init_command"])[0])

    assert arguments["read_timeout"] > locks


def write_and_fork(database: Path, forks: int) -> list[str]:
    """Fork again and again while threads write; return the names of all that was acknowledged, here and in children."""
    documents = SqlDocuments(f"sqlite:///{database}")
    documents.insert(THINGS, {"name": "first", "rank": 0})
    acknowledged, children, done = ["first"], {}, threading.Event()

    def write(thread: int) -> None:
        for rank in itertools.takewhile(lambda _: not done.is_set(), itertools.count()):
            documents.insert(THINGS, {"name": f"{thread} wrote {rank}", "rank": rank})
            acknowledged.append(f"{thread} wrote {rank}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for number in range(forks):
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            for rank in range(3):
                documents.insert(THINGS, {"name": f"child {number} wrote {rank}", "rank": rank})
            os._exit(0)
        children[child] = number
    ended = {number: os.waitpid(child, 0)[1] for child, number in children.items()}
    done.set()
    for thread in threads:
        thread.join()
    assert set(ended.values()) == {0}, f"these children did not end by themselves: {ended}"
    return acknowledged + [f"child {number} wrote {rank}" for number in ended for rank in range(3)]


def test_what_is_acknowledged_on_either_side_of_a_fork_is_kept(documents: SqlDocuments, database: Path) -> None:
    acknowledged = alone(write_and_fork, database, 25)

    assert sorted(acknowledged) == sorted(found["name"] for found in documents.find(THINGS, Query(order="name")))


def test_a_fork_waits_for_a_connection_that_another_thread_uses(documents: SqlDocuments, database: Path) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})
    in_use, forking = threading.Event(), threading.Event()
    os.register_at_fork(before=forking.set)  # the newest one comes first

    def use() -> None:
        with documents._connect() as connection:
            connection.exec_driver_sql("SELECT 1")
            in_use.set()
            forking.wait()

    user = threading.Thread(target=use)
    user.start()
    in_use.wait()

    child = os.fork()
    if child == 0:
        os._exit(is_open(database))
    user.join()

    assert os.waitpid(child, 0)[1] == 0
    documents.insert(THINGS, {"name": "b", "rank": 1})


def test_a_fork_does_not_wait_for_what_its_own_thread_uses(documents: SqlDocuments) -> None:
    with documents._connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        child = os.fork()
        if child == 0:
            os._exit(0)

        assert os.waitpid(child, 0)[1] == 0
        documents.insert(THINGS, {"name": "a", "rank": 1})


def is_open(file: Path) -> bool:
    """Say whether this process has the file open."""
    for descriptor in range(1024):
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), file.stat()):
                return True
    return False


def test_a_child_forked_while_a_thread_writes_writes_on_its_own(documents: SqlDocuments) -> None:
    documents.insert(THINGS, {"name": "a", "rank": 1})
    at_work, released = threading.Event(), threading.Event()

    def transact(_writes: object) -> None:
        at_work.set()
        released.wait()

    documents._commits = SharedCommits(transact)
    busy = threading.Thread(target=documents.insert, args=(THINGS, {"name": "b", "rank": 1}))
    busy.start()
    at_work.wait()

    child = os.fork()
    if child == 0:
        signal.alarm(20)
        documents.insert(THINGS, {"name": "c", "rank": 1})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    released.set()
    busy.join()

    assert status == 0
    assert documents.get(THINGS, {"name": "c"}) is not None
