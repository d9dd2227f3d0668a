"""Where backups are kept: a folder, or a bucket of an S3-compatible store. One interface, the manifest always last."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from core.backup.manifest import MANIFEST, is_name
from core.errors import Invalid, Misconfigured, NotFound, Unavailable

if TYPE_CHECKING:
    from minio import Minio

PARTIAL: Final = ".partial"  # ends the name of a folder that is not whole yet
MAX_MANIFEST_BYTES: Final = 4_000_000


class Place(Protocol):
    """Holds backups by name."""

    def whole(self) -> list[str]:
        """Names of backups that have a manifest, oldest first. Raises Unavailable."""

    def partial(self) -> list[str]:
        """Names of backups that were begun and have none."""

    def put(self, name: str, files: list[Path], manifest: bytes) -> None:
        """Store a backup; until the manifest is there it does not count. Raises Unavailable."""

    def manifest(self, name: str) -> bytes:
        """Raises NotFound."""

    def fetch(self, name: str, file: str, to: Path) -> None:
        """Copy one of its files to `to`. Raises NotFound, Unavailable."""

    def remove(self, name: str) -> None:
        """Remove a backup, whole or not, the manifest first: a removal that is cut off leaves a partial one."""


class Folder:
    """A folder, each backup a folder in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def whole(self) -> list[str]:
        with _told(self):
            if not self._path.is_dir():
                return []
            return sorted(one.name for one in self._path.iterdir() if is_name(one.name) and (one / MANIFEST).exists())

    def partial(self) -> list[str]:
        with _told(self):
            names = [one.name for one in self._path.iterdir()] if self._path.is_dir() else []
            whole = set(self.whole())
            return sorted(n for n in names if is_name(n.removesuffix(PARTIAL)) and n not in whole)

    def put(self, name: str, files: list[Path], manifest: bytes) -> None:
        with _told(self):
            unfinished = self._path / (name + PARTIAL)
            unfinished.mkdir(mode=0o700, parents=True)
            for file in files:
                shutil.copyfile(file, unfinished / file.name)
                _sync(unfinished / file.name)
            (unfinished / MANIFEST).write_bytes(manifest)
            _sync(unfinished / MANIFEST)
            unfinished.rename(self._path / name)
            _sync(self._path)

    def manifest(self, name: str) -> bytes:
        try:
            return (self._path / name / MANIFEST).read_bytes()
        except OSError:
            raise NotFound(f"{self} has no backup {name}") from None

    def fetch(self, name: str, file: str, to: Path) -> None:
        with _told(self):
            shutil.copyfile(self._path / name / file, to)

    def remove(self, name: str) -> None:
        with _told(self):
            (self._path / name / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(self._path / name)


class Bucket:
    """A bucket of an S3-compatible store, each backup the objects `<prefix>/<name>/...`."""

    def __init__(self, client: Minio, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def whole(self) -> list[str]:
        return sorted(name for name, files in self._found().items() if MANIFEST in files)

    def partial(self) -> list[str]:
        return sorted(name for name, files in self._found().items() if MANIFEST not in files)

    def put(self, name: str, files: list[Path], manifest: bytes) -> None:
        from io import BytesIO

        with self._told():
            for file in files:
                self._client.fput_object(self._bucket, self._key(name, file.name), str(file), part_size=16 << 20)
            key = self._key(name, MANIFEST)
            self._client.put_object(self._bucket, key, BytesIO(manifest), len(manifest), "application/json")

    def manifest(self, name: str) -> bytes:
        from minio.error import S3Error

        with self._told():
            try:
                answer = self._client.get_object(self._bucket, self._key(name, MANIFEST))
            except S3Error as error:
                if error.code == "NoSuchKey":
                    raise NotFound(f"{self} has no backup {name}") from None
                raise
            try:
                return bytes(answer.read(MAX_MANIFEST_BYTES))
            finally:
                answer.close()
                answer.release_conn()

    def fetch(self, name: str, file: str, to: Path) -> None:
        with self._told():
            self._client.fget_object(self._bucket, self._key(name, file), str(to))

    def remove(self, name: str) -> None:
        with self._told():
            for file in sorted(self._found().get(name, ()), key=lambda file: file != MANIFEST):
                self._client.remove_object(self._bucket, self._key(name, file))

    def _found(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        with self._told():
            for one in self._client.list_objects(self._bucket, self._prefix, recursive=True):
                name, _, file = str(one.object_name).removeprefix(self._prefix).partition("/")
                if is_name(name):
                    found.setdefault(name, set()).add(file)
        return found

    def _key(self, name: str, file: str) -> str:
        return f"{self._prefix}{name}/{file}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        from minio.error import MinioException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except (MinioException, HTTPError, OSError) as error:
            raise Unavailable(f"{self}: {str(error)[:500]}") from error


def place(url: str, env: dict[str, str] | os._Environ[str] = os.environ) -> Folder | Bucket:
    """`s3://bucket/prefix`, or a folder. Raises Invalid, Misconfigured.

    A bucket's store and keys are read from AWS_ENDPOINT_URL (default Amazon's own), AWS_REGION, AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY.
    """
    parts = urlsplit(url)
    if not parts.scheme:
        if not url:
            raise Invalid("say where backups are kept: a folder, or s3://bucket/prefix", pointer="to")
        return Folder(Path(url).expanduser())
    if parts.scheme != "s3" or not parts.netloc:
        raise Invalid(f"{url[:100]!r} is neither a folder nor s3://bucket/prefix", pointer="to")
    return Bucket(_client(env), parts.netloc, parts.path)


def _client(env: dict[str, str] | os._Environ[str]) -> Minio:
    try:
        from minio import Minio
    except ImportError:
        raise Misconfigured(
            "buckets need the extra `muster[s3]`: install it, or give a folder", setting="--to"
        ) from None
    endpoint = urlsplit(env.get("AWS_ENDPOINT_URL", "") or "https://s3.amazonaws.com")
    if endpoint.scheme not in ("http", "https") or not endpoint.netloc or endpoint.path.strip("/"):
        raise Misconfigured(f"{endpoint.geturl()!r} is no http(s)://host[:port]", setting="AWS_ENDPOINT_URL")
    options: dict[str, Any] = {"secure": endpoint.scheme == "https", "region": env.get("AWS_REGION") or "us-east-1"}
    for option, name in (("access_key", "AWS_ACCESS_KEY_ID"), ("secret_key", "AWS_SECRET_ACCESS_KEY")):
        if not env.get(name):
            raise Misconfigured("the key of the bucket's store is missing", setting=name)
        options[option] = env[name]
    return Minio(endpoint=endpoint.netloc, **options)


@contextmanager
def _told(folder: Folder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{folder}: {error}") from error


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
