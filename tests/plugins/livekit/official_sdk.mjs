// LiveKit's SDK for Node as a judge: reads one JSON request a line, writes one JSON answer a line.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const sdk = await import(pathToFileURL(process.argv[2]).href);
const now = Date.now;

async function answer({ what, key, secret, at, ...said }) {
  globalThis.Date.now = at === undefined ? now : () => at * 1000;
  const RealDate = globalThis.Date;
  if (at !== undefined) {
    globalThis.Date = class extends RealDate {
      constructor(...given) { given.length ? super(...given) : super(at * 1000); }
      static now() { return at * 1000; }
    };
  }
  try {
    if (what === "webhook") {
      const event = await new sdk.WebhookReceiver(key, secret).receive(said.body, said.authorization);
      return { event: event.event };
    }
    if (what === "token") {
      return { claims: await new sdk.TokenVerifier(key, secret).verify(said.token) };
    }
    const rooms = new sdk.RoomServiceClient(said.url, key, secret);
    const egress = new sdk.EgressClient(said.url, key, secret);
    if (what === "participants") {
      return { people: (await rooms.listParticipants(said.room)).map(({ sid, identity }) => [sid, identity]) };
    }
    if (what === "rooms") return { rooms: (await rooms.listRooms()).map(({ name }) => name) };
    if (what === "create") return { sid: (await rooms.createRoom({ name: said.room })).sid };
    if (what === "delete") return { deleted: await rooms.deleteRoom(said.room).then(() => true) };
    if (what === "mute") {
      const track = await rooms.mutePublishedTrack(said.room, said.identity, said.track, true);
      return { muted: track.muted };
    }
    if (what === "remove") return { removed: await rooms.removeParticipant(said.room, said.identity).then(() => true) };
    if (what === "record") {
      const output = new sdk.EncodedFileOutput({ filepath: "by-node.mp4" });
      return { id: (await egress.startRoomCompositeEgress(said.room, { file: output })).egressId };
    }
    if (what === "recordings") {
      return { ids: (await egress.listEgress({ roomName: said.room })).map(({ egressId }) => egressId) };
    }
    if (what === "stop") return { status: (await egress.stopEgress(said.id)).status };
    return { error: `unknown request ${what}` };
  } catch (error) {
    return { error: String(error.message ?? error) };
  } finally {
    globalThis.Date = RealDate;
    globalThis.Date.now = now;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + "\n");
}
