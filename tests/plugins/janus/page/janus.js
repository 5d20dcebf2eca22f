"use strict";

/**
 * A participant of a meeting, by what `POST /session/{id}/token` answers. Speaks Janus's protocol over its WebSocket and
 * needs no library. docs/how-to/janus.md explains each step.
 */
class Meeting {
  constructor({ token, connect }) {
    [this.sessionToken, this.roomToken, this.identity] = token.split("~");
    this.connect = connect;
    this.waiting = new Map(); // transaction: { resolve, reject }
    this.feeds = new Map(); // id: { peer, handle }
    this.handlers = new Map(); // handle: function of its events
    this.log = []; // [what happened, Unix time in ms]
    this.state = "joining";
  }

  /** Join and publish; `members` replace those of the request. */
  async join(members = {}) {
    this.socket = new WebSocket(this.connect.url, "janus-protocol");
    this.socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    this.socket.onclose = () => this.become("disconnected");
    await new Promise((resolve, reject) => Object.assign(this.socket, { onopen: resolve, onerror: reject }));
    this.session = (await this.ask({ janus: "create" })).data.id;
    this.timer = setInterval(() => this.send({ janus: "keepalive" }), 25_000);

    this.handle = await this.attach((data) => this.follow(data), this.identity);
    const { data } = await this.tell(this.handle, {
      request: "join",
      ptype: "publisher",
      room: this.connect.room,
      token: this.roomToken,
      id: `${this.connect.idPrefix}.${crypto.randomUUID()}`,
      display: this.connect.display,
      ...members,
    });
    this.id = data.id;
    this.privateId = data.private_id;
    this.become("joined");
    await this.publish();
    this.follow(data);
  }

  async publish() {
    const media = { audio: true, video: { width: 160, height: 120, frameRate: 5 } };
    const stream = await navigator.mediaDevices.getUserMedia(media);
    this.publisher = new RTCPeerConnection({ iceServers: this.connect.iceServers });
    for (const track of stream.getTracks()) this.publisher.addTrack(track, stream);
    await this.publisher.setLocalDescription();
    await gathered(this.publisher);
    const { jsep } = await this.tell(this.handle, { request: "publish" }, this.publisher.localDescription);
    await this.publisher.setRemoteDescription(jsep);
  }

  async subscribe(id) {
    const feed = { peer: new RTCPeerConnection({ iceServers: this.connect.iceServers }) };
    this.feeds.set(id, feed);
    feed.peer.ontrack = ({ streams }) => show(id, streams[0]);
    feed.handle = await this.attach(() => {});
    const request = { request: "join", ptype: "subscriber", room: this.connect.room, streams: [{ feed: id }] };
    const tokens = { token: this.roomToken, private_id: this.privateId };
    const { jsep } = await this.tell(feed.handle, { ...request, ...tokens });
    await feed.peer.setRemoteDescription(jsep);
    await feed.peer.setLocalDescription();
    await gathered(feed.peer);
    await this.tell(feed.handle, { request: "start" }, feed.peer.localDescription);
  }

  /** Act on an event of the own handle. */
  follow(data) {
    if (data.videoroom === "destroyed") return this.leave("ended");
    if (data.leaving === "ok") return this.leave(data.reason === "kicked" ? "kicked" : "left");
    for (const { id } of data.publishers ?? []) {
      if (!this.feeds.has(id)) this.subscribe(id).catch((error) => this.note(`no feed of ${id}: ${error.message}`));
    }
    const gone = data.unpublished ?? data.leaving ?? data.kicked;
    if (this.feeds.has(gone)) this.drop(gone);
    if (data.moderation) this.note(`${data.moderation} ${data.id === this.id ? "me" : data.id} ${data.mid}`);
  }

  drop(id) {
    const { peer, handle } = this.feeds.get(id);
    this.feeds.delete(id);
    peer.close();
    document.getElementById(id)?.remove();
    if (handle) this.ask({ janus: "detach", handle_id: handle }).catch(() => {});
  }

  leave(state) {
    this.become(state);
    this.publisher?.close();
    for (const id of [...this.feeds.keys()]) this.drop(id);
    clearInterval(this.timer);
    this.socket.onclose = null;
    this.ask({ janus: "destroy" }).catch(() => {}).finally(() => this.socket.close());
  }

  /** Return how many video frames of each other participant were decoded. */
  async frames() {
    const counts = {};
    for (const [id, { peer }] of this.feeds) {
      counts[id] = 0;
      for (const report of (await peer.getStats()).values()) {
        if (report.type === "inbound-rtp" && report.kind === "video") counts[id] += report.framesDecoded ?? 0;
      }
    }
    return counts;
  }

  // --- Janus's protocol ---------------------------------------------------------------------------------------------

  async attach(handler, opaqueId) {
    const plugin = "janus.plugin.videoroom";
    const handle = (await this.ask({ janus: "attach", plugin, opaque_id: opaqueId })).data.id;
    this.handlers.set(handle, handler);
    return handle;
  }

  /** Send a message to the plugin; return the data and the description of the event that answers it. */
  async tell(handle, body, jsep) {
    const answer = await this.ask({ janus: "message", handle_id: handle, body, jsep: jsep ?? undefined });
    const data = answer.plugindata.data;
    if (data.error_code) throw new Error(`${data.error_code} ${data.error}`);
    return { data, jsep: answer.jsep };
  }

  ask(message) {
    const transaction = this.send(message);
    return new Promise((resolve, reject) => this.waiting.set(transaction, { resolve, reject }));
  }

  send(message) {
    const transaction = crypto.randomUUID();
    const envelope = { transaction, token: this.sessionToken, session_id: this.session };
    this.socket.send(JSON.stringify({ ...message, ...envelope }));
    return transaction;
  }

  receive(message) {
    if (message.janus === "ack") return; // of a keepalive, or of a message whose event follows
    const waiting = this.waiting.get(message.transaction);
    if (waiting) {
      this.waiting.delete(message.transaction);
      if (message.janus === "error") waiting.reject(new Error(`${message.error.code} ${message.error.reason}`));
      else waiting.resolve(message);
    } else if (message.janus === "timeout") {
      this.leave("timed out");
    } else if (message.plugindata) {
      this.handlers.get(message.sender)?.(message.plugindata.data);
    }
  }

  note(what) {
    this.log.push([what, Date.now()]);
  }

  become(state) {
    this.state = state;
    this.note(state);
    document.getElementById("state").textContent = state;
  }
}

function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
  });
}

function show(id, stream) {
  const video = document.getElementById(id) ?? document.createElement("video");
  Object.assign(video, { id, srcObject: stream, autoplay: true, muted: true });
  document.getElementById("tiles").append(video);
}
