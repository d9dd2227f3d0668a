"""The snippets of docs/clients.md cannot rot: their calls are made, what they read is there, and the C# compiles."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.webapi.relay.ground import Ground, Open

PAGE = Path(__file__).parents[3] / "docs" / "clients.md"
# What Unity brings and a compiler does not know.
UNITY = """namespace UnityEngine
{
    public static class JsonUtility { public static T FromJson<T>(string text) => default(T); }
}"""
GODOT_CALL = re.compile(r'call_api\(HTTPClient\.METHOD_(\w+), "([^"]+)"(?: % \[(.*?)\])?(?:, (\{.*?\}))?\)$', re.M)
CSHARP_CALL = re.compile(r'Call<\w+>\("(\w+)", \$?"([^"]+)"(?:, (\$?"(?:[^"\\]|\\.)*"))?\)')


def snippet(language: str) -> str:
    """The one code block of a language."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.S)
    assert len(found) == 1
    return str(found[0])


def godot_calls(values: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Method, path and body of each call, with these values in the places of variables."""
    calls = []
    for method, path, names, body in GODOT_CALL.findall(snippet("gdscript")):
        given = tuple(values[name.strip()] for name in re.sub(r'ticket\["(\w+)"\]', r"\1", names).split(",") if name)
        text = re.sub(r": (\w+)\}", lambda found: f": {json.dumps(values[found[1]])}}}", body)
        calls.append((method, path % given, json.loads(text) if text else None))
    return calls


def csharp_calls(values: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """The same of the other snippet."""

    def fill(text: str) -> str:
        return re.sub(r"(?<!\{)\{(?:ticket\.)?(\w+)\}", lambda found: str(values[found[1]]), text)

    calls = []
    for method, path, body in CSHARP_CALL.findall(snippet("csharp")):
        text = fill(body.removeprefix("$").strip('"').replace('\\"', '"')).replace("{{", "{").replace("}}", "}")
        calls.append((method, fill(path), json.loads(text) if text else None))
    return calls


@pytest.mark.parametrize("calls", [godot_calls, csharp_calls], ids=["godot", "unity"])
async def test_the_calls_of_a_snippet_are_answered(open_ground: Open, calls: Any) -> None:
    """Guest, ticket, long poll, and the way into the match: each is what the API takes."""
    ground: Ground = await open_ground()
    values = {"game": "tanks", "id": "", "seq": 0}
    first, second, _ = calls(values)
    assert (first[:2], second[:2]) == (("POST", "/v1/guests"), ("POST", "/v1/tickets"))
    me = (await ground.api.ask(*first)).body
    ticket = await ground.api.ask(*second, token=me["access_token"])
    assert ticket.status == 201, ticket
    values |= {"id": ticket.body["id"], "seq": ticket.body["seq"] - 1}
    polled = await ground.api.ask(*calls(values)[2], token=me["access_token"])
    assert (polled.status, polled.body["id"]) == (200, ticket.body["id"])


@pytest.mark.parametrize(("language", "field"), [("gdscript", r'ticket\["(\w+)"\]'), ("csharp", r"ticket\.(\w+)")])
async def test_what_a_snippet_reads_is_there(open_ground: Open, language: str, field: str) -> None:
    """Every field that it reads of a ticket is one of a placed ticket, and the way into the match is the edge's."""
    ground: Ground = await open_ground()
    path = f"/v1/tickets/tanks/{ground.ticket}"
    placed = (await ground.api.ask("GET", path, token=ground.access)).body
    text = snippet(language)
    assert set(re.findall(field, text)) - set(placed) == set()
    assert re.sub(r"%s|\{ticket\.\w+\}", "X", "/v1/matches/%s/%s/ws") in re.sub(r"%s|\{ticket\.\w+\}", "X", text)
    async with ground.enter(token=placed["join_token"]) as client:
        await client.send("joined")
        assert await client.recv() == "joined"


def test_the_unity_snippet_compiles(tmp_path: Path) -> None:
    """By a C# compiler, with a stand-in for the one call of Unity's own; warnings are errors."""
    compiler = shutil.which("mcs")
    if compiler is None:
        pytest.skip("no C# compiler here: apt-get install mono-mcs libmono-system-net-http4.0-cil")
    (tmp_path / "MusterClient.cs").write_text(snippet("csharp"))
    (tmp_path / "Unity.cs").write_text(UNITY)
    command = [compiler, "-target:library", "-warnaserror", "-nowarn:0649", "-r:System.Net.Http.dll", "-out:it.dll"]
    done = subprocess.run(
        [*command, "MusterClient.cs", "Unity.cs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
