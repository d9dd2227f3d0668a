"""All that a Redis of any shape holds is copied, kept, and put back as it was."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import msgspec
import pytest

from core.backup.manifest import MANIFEST, decode, encode
from core.backup.places import PARTIAL, Bucket, Folder, Place, place
from core.backup.restore import restore
from core.backup.take import prune, take
from core.errors import Conflict, Invalid, Misconfigured, NotFound, Unavailable
from core.redis.client import Database, open_database
from core.redis.scratch import reading
from core.redis.transfer import transfer
from tests.backup.content import content
from tests.backup.store import BUCKET, s3_store
from tests.redis.backends import BACKENDS


async def test_what_comes_back_is_what_was_there(
    kind: str, full: Database, other: str, bare: Database, shelf: Path
) -> None:
    """Each type, each expiry, from each kind of Redis into another; the library of functions is not needed for it."""
    before = await content(kind)
    name, manifest = await take(kind, Folder(shelf), "1.2.3")
    await full.do("SET", "muster:later", "is not in it")
    assert await restore(Folder(shelf), name, other, replace=False) == len(before) == manifest.keys
    assert await content(other) == before
    assert manifest.muster == "1.2.3"
    assert all(file.server.startswith(("valkey", "redis")) for file in manifest.files)


async def test_a_backup_of_one_node_goes_into_a_cluster(
    other: str, bare: Database, shelf: Path, tmp_path: Path
) -> None:
    """An installation that grew takes its data along."""
    await bare.do_many([("HSET", f"muster:account:p-{i}", "name", f"n{i}") for i in range(500)])
    name, _ = await take(other, Folder(shelf), "1")
    with BACKENDS["cluster"](tmp_path / "cluster") as url:
        assert await restore(Folder(shelf), name, url, replace=False) == 500
        assert await content(url) == await content(other)


async def test_a_backup_is_of_one_moment(other: str, bare: Database, shelf: Path) -> None:
    """Two keys that always change together are found alike, whatever is written meanwhile."""

    async def write() -> None:
        number = 0
        while True:
            number += 1
            await bare.do(
                "MSET", "muster:{a}:left", number, "muster:{a}:right", number, f"muster:{{a}}:{number}", "x" * 999
            )

    writer = asyncio.create_task(write())
    try:
        while int(await bare.do("GET", "muster:{a}:left") or 0) < 200:
            await asyncio.sleep(0.01)
        name, _ = await take(other, Folder(shelf), "1")
    finally:
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
    await restore(Folder(shelf), name, other, replace=True)
    left, right = await bare.do("MGET", "muster:{a}:left", "muster:{a}:right")
    assert left == right
    assert int(left) >= 200


async def test_a_redis_that_holds_something_is_left_alone(other: str, bare: Database, shelf: Path) -> None:
    """Unless the operator says so."""
    await bare.do("SET", "muster:a", "1")
    name, _ = await take(other, Folder(shelf), "1")
    await bare.do("SET", "muster:b", "2")
    with pytest.raises(Conflict, match="holds 2 keys"):
        await restore(Folder(shelf), name, other, replace=False)
    assert await content(other) == {"muster:a": ("string", -1, "1"), "muster:b": ("string", -1, "2")}
    assert await restore(Folder(shelf), name, other, replace=True) == 1
    assert await content(other) == {"muster:a": ("string", -1, "1")}


async def test_a_damaged_backup_touches_nothing(other: str, bare: Database, shelf: Path) -> None:
    """A flipped bit is found by the checksum before the Redis is emptied; a file that is gone as well."""
    await bare.do("SET", "muster:a", "1")
    name, manifest = await take(other, Folder(shelf), "1")
    path = shelf / name / manifest.files[0].file
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(Invalid, match="damaged"):
        await restore(Folder(shelf), name, other, replace=True)
    path.unlink()
    with pytest.raises(Unavailable):
        await restore(Folder(shelf), name, other, replace=True)
    assert await content(other) == {"muster:a": ("string", -1, "1")}


async def test_a_server_that_cannot_read_it_says_so(other: str, bare: Database, shelf: Path) -> None:
    """What is no snapshot, though its checksum is right."""
    name, manifest = await take(other, Folder(shelf), "1")
    (shelf / name / "node-0.rdb").write_bytes(b"REDIS9999 from the future")
    file = msgspec.structs.replace(manifest.files[0], sha256=hashlib.sha256(b"REDIS9999 from the future").hexdigest())
    (shelf / name / MANIFEST).write_bytes(encode(msgspec.structs.replace(manifest, files=[file])))
    await bare.do("SET", "muster:a", "1")
    with pytest.raises(Unavailable, match="cannot be read here"):
        await restore(Folder(shelf), name, other, replace=True)
    assert await content(other) == {"muster:a": ("string", -1, "1")}


async def test_a_redis_that_goes_away_leaves_no_backup(shelf: Path, tmp_path: Path) -> None:
    """Nothing on the shelf, and an error that can be tried again."""
    with BACKENDS["valkey"](tmp_path) as url:
        pass
    with pytest.raises(Unavailable):
        await take(url, Folder(shelf), "1")
    assert Folder(shelf).whole() == Folder(shelf).partial() == []


@pytest.fixture(params=["folder", "bucket"])
def kept(request: pytest.FixtureRequest, shelf: Path, tmp_path: Path) -> Place:
    """An empty place of each kind."""
    if request.param == "folder":
        return Folder(shelf)
    env = request.getfixturevalue("store")
    found = place(f"s3://{BUCKET}/{tmp_path.name}", env)
    assert isinstance(found, Bucket)
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A real S3 store."""
    with s3_store(tmp_path_factory.mktemp("s3")) as env:
        yield env


async def test_a_place_keeps_so_many(kept: Place, other: str, bare: Database) -> None:
    """The newest stay, and each can be restored."""
    names = []
    for number in range(4):
        await bare.do("SET", "muster:number", number)
        names.append((await take(other, kept, "1"))[0])
    assert kept.whole() == names
    assert prune(kept, 2) == names[:2]
    assert kept.whole() == names[2:]
    for name, number in zip(names[2:], ("2", "3"), strict=True):
        await restore(kept, name, other, replace=True)
        assert await bare.do("GET", "muster:number") == number
    with pytest.raises(NotFound):
        kept.manifest(names[0])
    with pytest.raises(Invalid):
        prune(kept, 0)


async def test_the_newest_is_meant_where_none_is_named(kept: Place, other: str, bare: Database) -> None:
    """And a place that holds none says so."""
    with pytest.raises(NotFound, match="no whole backup"):
        await restore(kept, "", other, replace=False)
    for number in range(2):
        await bare.do("SET", "muster:number", number)
        await take(other, kept, "1")
    await restore(kept, "", other, replace=True)
    assert await bare.do("GET", "muster:number") == "1"


async def test_what_was_cut_off_is_never_taken_for_whole(other: str, bare: Database, shelf: Path) -> None:
    """A partial one is listed as such, and goes when a later one is whole."""
    kept = Folder(shelf)
    first, _ = await take(other, kept, "1")
    (shelf / first).rename(shelf / (first + PARTIAL))  # killed before the last step
    assert (kept.whole(), kept.partial()) == ([], [first + PARTIAL])
    assert prune(kept, 3) == []
    second, _ = await take(other, kept, "1")
    assert prune(kept, 3) == [first + PARTIAL]
    assert kept.whole() == [second]
    (shelf / second / MANIFEST).unlink()  # killed in the middle of a removal
    assert (kept.whole(), kept.partial()) == ([], [second])


async def test_a_bucket_that_cannot_be_written_says_so(store: dict[str, str], other: str, bare: Database) -> None:
    """A wrong key, a bucket that is none, a store that is away."""
    with pytest.raises(Unavailable, match="NoSuchBucket"):
        await take(other, place("s3://nowhere/x", store), "1")
    wrong = store | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    with pytest.raises(Unavailable, match="SignatureDoesNotMatch"):
        await take(other, place(f"s3://{BUCKET}", wrong), "1")


@pytest.mark.parametrize(
    ("url", "env", "error"),
    [
        ("", {}, Invalid),
        ("ftp://host/x", {}, Invalid),
        ("s3://", {}, Invalid),
        ("s3://bucket", {}, Misconfigured),
        (
            "s3://bucket",
            {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": "host:1"},
            Misconfigured,
        ),
    ],
)
def test_a_place_that_is_none_is_refused(url: str, env: dict[str, str], error: type[Exception]) -> None:
    """Before anything is copied."""
    with pytest.raises(error):
        place(url, env)


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b'{"format": 2}'])
def test_a_manifest_that_is_none_is_refused(text: bytes) -> None:
    """With its name."""
    with pytest.raises(Invalid, match="x-1"):
        decode("x-1", text)


async def test_keys_of_a_restore_are_not_mixed_with_a_writer_s(other: str, bare: Database, shelf: Path) -> None:
    """A service that still runs and writes the same key is noticed."""
    await bare.do("SET", "muster:a", "1")
    name, manifest = await take(other, Folder(shelf), "1")
    async with reading(shelf / name / manifest.files[0].file, shelf, 0) as source:
        with pytest.raises(Conflict, match="somebody writes"):
            await transfer(source, other)
    async with open_database(other) as db:
        assert await db.do("GET", "muster:a") == "1"
