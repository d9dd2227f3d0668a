// Every call of Agones' SDK for Node, in the order of the upstream conformance set. Prints one JSON line per call.
"use strict";
const AgonesSDK = require("@google-cloud/agones-sdk");

const sdk = new AgonesSDK();
const told = (call, answer) => console.log(JSON.stringify({ call, answer: answer === undefined ? null : answer }));
const refusal = async (call) => {
	try {
		await call;
		return "not refused";
	} catch (error) {
		return error.code;
	}
};

async function main() {
	await sdk.connect();
	const seen = [];
	sdk.watchGameServer((server) => seen.push(server.status.state), () => {});
	const server = await sdk.getGameServer();
	told("gameserver", server);
	told("ready", await sdk.ready());
	told("allocate", await sdk.allocate());
	told("reserve", await sdk.reserve(5));
	sdk.health();
	sdk.health();
	told("setlabel", await sdk.setLabel("timestamp", String(server.objectMeta.creationTimestamp)));
	told("setannotation", await sdk.setAnnotation("UID", server.objectMeta.uid));
	told("bad label", await refusal(sdk.setLabel("bad key", "x")));
	told("large", await refusal(sdk.setAnnotation("large", "x".repeat(10 * 1024 * 1024))));

	const { alpha, beta } = sdk;
	await beta.incrementCounter("rooms", 3);
	await beta.decrementCounter("rooms", 1);
	told("count", await beta.getCounterCount("rooms"));
	await beta.setCounterCapacity("rooms", 20);
	await beta.setCounterCount("rooms", 15);
	told("counters", [await beta.getCounterCount("rooms"), await beta.getCounterCapacity("rooms")]);
	told("out of range", await refusal(beta.incrementCounter("rooms", 6)));
	told("unknown counter", await refusal(beta.getCounterCount("nope")));
	await beta.appendListValue("players", "x");
	told("contains", await beta.listContains("players", "x"));
	told("duplicate", await refusal(beta.appendListValue("players", "x")));
	await beta.deleteListValue("players", "test0");
	told("lists", [await beta.getListValues("players"), await beta.getListLength("players")]);
	await beta.setListCapacity("players", 2);
	told("list capacity", [await beta.getListCapacity("players"), await beta.getListLength("players")]);

	await alpha.setPlayerCapacity(1);
	told("connect", [await alpha.playerConnect("ada"), await alpha.playerConnect("ada")]);
	told("full", await refusal(alpha.playerConnect("bob")));
	told("players", [
		await alpha.getPlayerCapacity(),
		await alpha.getPlayerCount(),
		await alpha.isPlayerConnected("ada"),
		await alpha.getConnectedPlayers(),
		await alpha.playerDisconnect("ada"),
	]);
	const last = await sdk.getGameServer();
	told("last", { state: last.status.state, labels: last.objectMeta.labelsMap, health: last.spec.health.disabled });
	told("shutdown", await sdk.shutdown());
	const looking = setInterval(() => {
		if (seen.includes("Shutdown")) {
			clearInterval(looking);
			told("watch", seen.filter((state, i) => state !== seen[i - 1]));
			sdk.close();
			process.exit(0); // its beta and alpha clients stay connected
		}
	}, 20);
}

main();
