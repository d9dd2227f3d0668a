"""The URL of a Redis behind Sentinel, and whom to believe when Sentinels differ."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import Misconfigured, Unavailable
from core.redis.client import open_database
from core.redis.lean import LeanRedis
from core.redis.sentinel import ASK_S, Node, Sentinels, SentinelUrl, parse

OLD, NEW = ("old", 6379), ("new", 6379)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("redis+sentinel://s/mymaster", SentinelUrl((("s", 26379),), "mymaster")),
        (
            "redis+sentinel://a:1,b,[::1]:3,[::2]/m/5",
            SentinelUrl((("a", 1), ("b", 26379), ("::1", 3), ("::2", 26379)), "m", 5),
        ),
        ("redis+sentinel://:p%40%2C%23@a,b/m", SentinelUrl((("a", 26379), ("b", 26379)), "m", auth=("p@,#",))),
        (
            "redis+sentinel://me:pw@s/m/0?sentinel_username=you&sentinel_password=s%26",
            SentinelUrl((("s", 26379),), "m", auth=("me", "pw"), sentinel_auth=("you", "s&")),
        ),
        (
            "rediss+sentinel://s/m?ssl_ca_certs=/ca.pem",
            SentinelUrl((("s", 26379),), "m", tls=True, tls_options={"ssl_ca_certs": "/ca.pem"}),
        ),
    ],
)  # fmt: skip
def test_a_url_is_taken_apart(url: str, wanted: SentinelUrl) -> None:
    """Hosts with and without ports, both kinds of address, both passwords, the database, TLS."""
    assert parse(url) == wanted
    assert "pw" not in repr(wanted)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis+sentinel://s", "name of the primary is missing"),
        ("redis+sentinel://s/m/x", "'x' is not a number"),
        ("redis+sentinel:///m", "no host"),
        ("redis+sentinel://a,,b/m", "no host"),
        ("redis+sentinel://a:0/m", "'a:0' is no host"),
        ("redis+sentinel://a:70000/m", "'a:70000' is no host"),
        ("redis+sentinel://::1/m", "is no host"),
        ("redis+sentinel://hidden#word@a/m", "written %23"),
        ("redis+sentinel://hidden@a/m", "the user comes without a password"),
        ("redis+sentinel://a/m?sentinel_username=hidden", "sentinel_username comes without a password"),
        ("redis+sentinel://:hidden@a/m?master=x", "no option master"),
        ("redis+sentinel://a/m?ssl_ca_certs=x", "no option ssl_ca_certs"),
        ("redis+sentinel://[::1/m", "is no host"),
        ("redis+sentinel://a/m?db", "no options"),
        ("redis+sentinel://" + ",".join("abcdefgh" * 5) + "/m", "40 Sentinels"),
    ],
)
async def test_a_malformed_url_is_said_to_be_so(url: str, says: str) -> None:
    """Both clients name the setting at once, say what is wrong, and keep the password to themselves."""
    with pytest.raises(Misconfigured, match="REDIS_URL") as lean:
        LeanRedis(url)
    with pytest.raises(Misconfigured, match="REDIS_URL") as full:
        await open_database(url).__aenter__()
    assert says in lean.value.detail == full.value.detail
    assert "hidden" not in lean.value.detail


@pytest.mark.parametrize(
    "url", ["http://h", "redis+cluster", "redis://h:99999", "rediss+sentinel://s/m?ssl_nonsense=1"]
)
async def test_another_url_is_refused_at_once(url: str) -> None:
    """What is no URL of Redis is a wrong setting, not a defect."""
    with pytest.raises(Misconfigured, match="REDIS_URL"):
        async with open_database(url):
            pass
    with pytest.raises(Misconfigured, match="REDIS_URL"):
        LeanRedis(url)


def asked(*answers: Node | str | None) -> Sentinels:
    """Sentinels that answer so; "silent" never does, "dead" is not there."""

    async def ask(node: Node) -> Node | None:
        answer = answers[int(node[0])]
        if answer == "silent":
            await asyncio.sleep(60)
        if isinstance(answer, str):
            raise Unavailable("nobody listens")
        return answer

    return Sentinels(SentinelUrl(tuple((str(i), 1) for i in range(len(answers))), "m"), ask)


@pytest.mark.parametrize(
    "answers",
    [
        (NEW,),
        (NEW, NEW, OLD),
        (OLD, NEW, NEW),
        ("dead", NEW, "dead"),
        ("silent", NEW, NEW),
        (None, NEW, NEW),
        (NEW, "silent", "dead"),
    ],
)
async def test_most_are_believed(answers: tuple[Node | str | None, ...]) -> None:
    """One that is cut off, dead, silent or set up anew does not stand in the way."""
    async with asyncio.timeout(20 * ASK_S):
        assert await asked(*answers).primary() == NEW


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (("dead", "dead"), "no Sentinel answers: .*0:1: nobody listens"),
        (("silent", "dead"), "0:1 is silent"),
        ((OLD, NEW, "dead"), "do not agree"),
    ],
)
async def test_no_answer_passes(answers: tuple[Node | str | None, ...], says: str) -> None:
    """Where nobody can be believed the error may be retried and says why."""
    with pytest.raises(Unavailable, match=says):
        await asked(*answers).primary()


async def test_an_unknown_name_is_a_wrong_setting_unless_it_was_known() -> None:
    """At the start the name is wrong; later it is a Sentinel that is being set up anew."""
    with pytest.raises(Misconfigured, match=r"no primary by the name 'm'.*REDIS_URL"):
        await asked(None, None, "dead").primary()
    answers: list[Node | None] = [NEW, None, NEW]

    async def ask(_node: Node) -> Node | None:
        return answers.pop(0)

    sentinels = Sentinels(SentinelUrl((("a", 1),), "m"), ask)
    assert await sentinels.primary() == NEW
    with pytest.raises(Unavailable, match="no primary by the name 'm'"):
        await sentinels.primary()
    assert await sentinels.primary() == NEW
