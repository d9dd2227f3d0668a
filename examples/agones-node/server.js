// A coin is tossed for two, over TCP, with Agones' SDK for Node as it is published. It knows nothing of Muster.
//
// Each player sends one line, "heads" or "tails", and is told "won" or "lost" when both have. Then the game is over.
// Agones' calls in the order of a match: connect, ready, health every two seconds, a label, players, shutdown.
"use strict";

const net = require("node:net");
const readline = require("node:readline");
const AgonesSDK = require("@google-cloud/agones-sdk");

const PLAYERS = 2;
const HEALTH_MS = 2000;
const SIDES = ["heads", "tails"];

const sdk = new AgonesSDK();
const calls = []; // [socket, side] of who has called

async function toss() {
	const side = SIDES[Math.floor(Math.random() * SIDES.length)];
	await sdk.setLabel("tossed", side);
	for (const [socket, called] of calls) {
		socket.end(called === side ? "won\n" : "lost\n");
		await sdk.alpha.playerDisconnect(`player-${calls.findIndex(([other]) => other === socket)}`);
	}
	await sdk.shutdown();
}

function seat(socket) {
	socket.on("error", () => socket.destroy());
	readline.createInterface({ input: socket }).once("line", async (line) => {
		const side = line.trim();
		if (!SIDES.includes(side) || calls.length === PLAYERS) {
			socket.end(calls.length === PLAYERS ? "both seats are taken\n" : "say heads or tails\n");
			return;
		}
		calls.push([socket, side]);
		const complete = calls.length === PLAYERS;
		await sdk.alpha.playerConnect(`player-${calls.length - 1}`);
		if (complete) {
			await toss();
		}
	});
}

async function main() {
	await sdk.connect();
	await sdk.alpha.setPlayerCapacity(PLAYERS);
	sdk.watchGameServer((server) => console.log(`the server is ${server.status.state}`), () => {});
	setInterval(() => sdk.health(() => {}), HEALTH_MS);
	const server = net.createServer(seat);
	server.listen(Number(process.env.PORT || 7777), process.env.HOST || "127.0.0.1", async () => {
		sdk.health();
		await sdk.ready();
	});
	process.on("SIGTERM", () => process.exit(0));
}

main();
