// Janus's client for browsers: the VideoRoom protocol over Janus's WebSocket, without a library.
// docs/how-to/janus.md explains each step.

const PLUGIN = "janus.plugin.videoroom";
const KEEPALIVE_MS = 25_000;
const ANSWER_MS = 10_000;
const SETTLE_MS = 8_000;
const GIVE_UP_MS = 60_000;
const AGAIN_MS = [0, 500, 1_000, 2_000, 4_000];
const ROOM_GONE = 426;
const KINDS = { camera: "video", microphone: "audio" };

/** Take part, and come back by a new token when the connection is lost. */
export async function join({ token, connect, name, media, on, renew }) {
  const tracks = { camera: media.camera, microphone: media.microphone };
  const shown = new Set(); // ids that were reported
  let connection = null;
  let isOver = false;

  const report = {
    joined(id, display, own = false) {
      shown.add(id);
      on("joined", { id, name: display, own });
    },
    left(id) {
      if (shown.delete(id)) on("left", { id });
    },
    track: (id, kind, track) => on("track", { id, kind, track }),
    state: (id, state) => on("state", { id, ...state }),
    ended: (reason) => end(reason),
    lost: () => comeBack(),
  };

  function end(reason) {
    if (isOver) return;
    isOver = true;
    connection?.close();
    on("ended", { reason });
  }

  async function enter(issued) {
    const opened = new Connection(issued, name, report);
    connection = opened;
    try {
      await opened.open(tracks);
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  async function comeBack() {
    if (isOver) return;
    on("state", { connection: "reconnecting" });
    const since = Date.now();
    for (let attempt = 0; !isOver && Date.now() - since < GIVE_UP_MS; attempt += 1) {
      await wait(AGAIN_MS[Math.min(attempt, AGAIN_MS.length - 1)]);
      try {
        const issued = await renew();
        if (isOver) return;
        const before = [...shown];
        await enter(issued);
        for (const id of before) if (!connection.knows(id)) report.left(id);
        on("state", { connection: "connected" });
        return;
      } catch (error) {
        if (error.code === ROOM_GONE) return end("ended");
      }
    }
    end("failed");
  }

  await enter({ token, connect });
  const send = (kind, track) => {
    tracks[kind] = track;
    return connection.send(kind, track);
  };
  return {
    leave() {
      isOver = true;
      connection?.close();
    },
    setCamera: (track) => send("camera", track),
    setMicrophone: (track) => send("microphone", track),
  };
}

class JanusError extends Error {
  constructor(code, reason) {
    super(`${code} ${reason}`);
    this.code = code;
  }
}

/** One WebSocket with one Janus session: from joining the room until it ends or is lost. */
class Connection {
  #report;
  #connect;
  #tokens;
  #display;
  #socket = null;
  #session;
  #handle = null;
  #id = null;
  #privateId = null;
  #publisher = null;
  #senders = {};
  #turn = Promise.resolve();
  #feeds = new Map(); // id: { peer, handle }
  #waiting = new Map(); // transaction: { resolve, reject, timer }
  #handlers = new Map(); // handle: function of its events
  #timer = null;
  #isOver = false;
  #isMuted = false; // by a moderator, which only publishing again lifts

  constructor({ token, connect }, name, report) {
    const [session, room, identity] = token.split("~");
    this.#tokens = { session, room, identity };
    this.#connect = connect;
    this.#display = connect.display ?? name;
    this.#report = report;
  }

  knows(id) {
    return id === this.#id || this.#feeds.has(id);
  }

  async open(tracks) {
    this.#socket = new WebSocket(this.#connect.url, "janus-protocol");
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    await within(ANSWER_MS, new Promise((resolve, reject) => {
      this.#socket.onopen = resolve;
      this.#socket.onclose = () => reject(new Error("Janus does not answer"));
    }));
    this.#socket.onclose = () => this.#lose();
    this.#session = (await this.#ask({ janus: "create" })).data.id;
    this.#timer = setInterval(() => this.#ask({ janus: "keepalive" }).catch(() => this.#lose()), KEEPALIVE_MS);
    addEventListener("offline", this.#lost);

    this.#handle = await this.#attach((data) => this.#follow(data), this.#tokens.identity);
    const { data } = await this.#tell(this.#handle, {
      request: "join",
      ptype: "publisher",
      room: this.#connect.room,
      token: this.#tokens.room,
      id: `${this.#connect.idPrefix}.${crypto.randomUUID()}`,
      display: this.#display,
    });
    this.#id = data.id;
    this.#privateId = data.private_id;
    this.#report.joined(data.id, this.#display, true);
    this.#follow(data);
    await this.#publish(tracks);
  }

  /** Send another track, or none, once the change before it is done. */
  send(kind, track) {
    this.#turn = this.#turn.catch(() => {}).then(() => this.#replace(kind, track));
    return this.#turn;
  }

  /** Both kinds are negotiated from the start, so that this needs no new offer. */
  async #replace(kind, track) {
    if (!this.#publisher) return;
    if (track && this.#isMuted) {
      const { camera, microphone } = this.#senders;
      return this.#publishAgain({ camera: camera.track, microphone: microphone.track, [kind]: track });
    }
    await this.#senders[kind].replaceTrack(track);
  }

  close() {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    removeEventListener("offline", this.#lost);
    this.#publisher?.close();
    for (const id of [...this.#feeds.keys()]) this.#drop(id);
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Error("closed"));
    }
    this.#waiting.clear();
    if (!this.#socket) return;
    this.#socket.onclose = null;
    if (this.#socket.readyState === WebSocket.OPEN) {
      if (this.#handle) this.#post({ janus: "message", handle_id: this.#handle, body: { request: "leave" } });
      if (this.#session) this.#post({ janus: "destroy" });
    }
    this.#socket.close();
  }

  #lost = () => this.#lose();

  #lose() {
    if (this.#isOver) return;
    this.close();
    this.#report.lost();
  }

  // --- what is sent and received ----------------------------------------------------------------------------------

  async #publish(tracks) {
    const peer = new RTCPeerConnection({ iceServers: this.#connect.iceServers });
    this.#publisher = peer;
    for (const [kind, media] of Object.entries(KINDS)) {
      const transceiver = peer.addTransceiver(tracks[kind] ?? media, { direction: "sendonly" });
      this.#senders[kind] = transceiver.sender;
    }
    this.#watch(peer);
    await peer.setLocalDescription();
    await gathered(peer);
    const { jsep } = await this.#tell(this.#handle, { request: "publish" }, peer.localDescription);
    await peer.setRemoteDescription(jsep);
    this.#isMuted = false;
  }

  async #publishAgain(tracks) {
    await this.#tell(this.#handle, { request: "unpublish" });
    this.#publisher.close();
    await this.#publish(tracks);
  }

  async #subscribe({ id, display }) {
    const peer = new RTCPeerConnection({ iceServers: this.#connect.iceServers });
    const feed = { peer, handle: null };
    this.#feeds.set(id, feed);
    this.#report.joined(id, display);
    peer.ontrack = ({ track }) => this.#feeds.get(id) === feed && this.#report.track(id, track.kind, track);
    feed.handle = await this.#attach(() => {});
    const { jsep } = await this.#tell(feed.handle, {
      request: "join",
      ptype: "subscriber",
      room: this.#connect.room,
      token: this.#tokens.room,
      private_id: this.#privateId,
      streams: [{ feed: id }],
    });
    await peer.setRemoteDescription(jsep);
    await peer.setLocalDescription();
    await gathered(peer);
    await this.#tell(feed.handle, { request: "start" }, peer.localDescription);
  }

  /** Act on an event of the own handle. */
  #follow(data) {
    if (this.#isOver) return;
    if (data.videoroom === "destroyed") return this.#report.ended("ended");
    if (data.leaving === "ok") return this.#report.ended(data.reason === "kicked" ? "removed" : "left");
    for (const one of data.attendees ?? []) this.#report.joined(one.id, one.display);
    for (const one of data.publishers ?? []) {
      if (!this.#feeds.has(one.id)) this.#subscribe(one).catch((error) => this.#isOver || console.warn(error.message));
    }
    if (data.unpublished && data.unpublished !== "ok") this.#drop(data.unpublished);
    const gone = data.leaving ?? data.kicked;
    if (gone) {
      this.#drop(gone);
      this.#report.left(gone);
    }
    if (data.moderation === "muted" && data.id === this.#id) {
      this.#isMuted = true;
      this.#report.state(this.#id, { camera: false, microphone: false });
    }
  }

  #drop(id) {
    const feed = this.#feeds.get(id);
    if (!feed) return;
    this.#feeds.delete(id);
    feed.peer.close();
    for (const kind of Object.values(KINDS)) this.#report.track(id, kind, null);
    if (feed.handle && !this.#isOver) this.#ask({ janus: "detach", handle_id: feed.handle }).catch(() => {});
  }

  /** Notice that media no longer pass although the WebSocket lives: another network, for example. */
  #watch(peer) {
    let timer = null;
    peer.onconnectionstatechange = () => {
      clearTimeout(timer);
      if (peer !== this.#publisher || this.#isOver) return;
      if (peer.connectionState === "failed") this.#lose();
      if (peer.connectionState === "disconnected") timer = setTimeout(() => peer === this.#publisher && this.#lose(), SETTLE_MS);
    };
  }

  // --- Janus's protocol -------------------------------------------------------------------------------------------

  async #attach(handler, opaqueId) {
    const handle = (await this.#ask({ janus: "attach", plugin: PLUGIN, opaque_id: opaqueId })).data.id;
    this.#handlers.set(handle, handler);
    return handle;
  }

  /** Send a message to the plugin; return the data and the description of the event that answers it. */
  async #tell(handle, body, jsep) {
    const answer = await this.#ask({ janus: "message", handle_id: handle, body, jsep });
    const { data } = answer.plugindata;
    if (data.error_code) throw new JanusError(data.error_code, data.error);
    return { data, jsep: answer.jsep };
  }

  #ask(message) {
    const transaction = crypto.randomUUID();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(transaction);
        reject(new Error(`Janus does not answer ${message.janus}`));
      }, ANSWER_MS);
      this.#waiting.set(transaction, { resolve, reject, timer, message });
      this.#post(message, transaction);
    });
  }

  #post(message, transaction = crypto.randomUUID()) {
    const envelope = { transaction, token: this.#tokens.session, session_id: this.#session };
    this.#socket.send(JSON.stringify({ ...message, ...envelope }));
  }

  #receive(message) {
    const waiting = this.#waiting.get(message.transaction);
    if (message.janus === "ack" && waiting?.message.janus !== "keepalive") return; // an event follows
    if (waiting) {
      this.#waiting.delete(message.transaction);
      clearTimeout(waiting.timer);
      if (message.janus === "error") waiting.reject(new JanusError(message.error.code, message.error.reason));
      else waiting.resolve(message);
    } else if (message.janus === "timeout") {
      this.#lose();
    } else if (message.plugindata) {
      this.#handlers.get(message.sender)?.(message.plugindata.data);
    }
  }
}

function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && resolve());
  });
}

function within(milliseconds, promise) {
  return Promise.race([promise, wait(milliseconds).then(() => Promise.reject(new Error("no answer in time")))]);
}

function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
