// A stub of livekit-client: the parts that our client uses. It notes what it is asked for, and a test drives its room.
(() => {
  const names = (prefix) => new Proxy({}, { get: (_, name) => prefix + String(name) });
  const asked = [];
  const rooms = [];
  let count = 0;

  class Publication {
    constructor(kind, source, track) {
      Object.assign(this, { kind, source, isMuted: false, track: { mediaStreamTrack: track, replaceTrack: this.#replace } });
    }
    #replace = async (track, isOurs) => {
      asked.push(["replaceTrack", this.source, isOurs]);
      this.track.mediaStreamTrack = track;
    };
    async mute() {
      asked.push(["mute", this.source]);
      this.isMuted = true;
    }
    async unmute() {
      asked.push(["unmute", this.source]);
      this.isMuted = false;
    }
  }

  class Participant {
    trackPublications = new Map();
    isSpeaking = false;
    connectionQuality = "Quality.Good";
    permissions = { canPublish: true };
    #published;
    constructor(sid, name, published) {
      Object.assign(this, { sid, name });
      this.#published = published;
    }
    getTrackPublication(source) {
      return [...this.trackPublications.values()].find((one) => one.source === source);
    }
    #sends(source) {
      return Boolean(this.getTrackPublication(source)) && !this.getTrackPublication(source).isMuted;
    }
    get isCameraEnabled() {
      return this.#sends("Source.Camera");
    }
    get isMicrophoneEnabled() {
      return this.#sends("Source.Microphone");
    }
    add(kind, source, track) {
      this.trackPublications.set(`TR_${(count += 1)}`, new Publication(kind, source, track));
    }
    async publishTrack({ track, isOurs }, { source }) {
      asked.push(["publish", source, isOurs]);
      this.add(track.kind === "video" ? "Kind.Video" : "Kind.Audio", source, track);
      this.#published();
    }
  }

  class LocalTrack {
    constructor(track, _constraints, isOurs) {
      Object.assign(this, { track, isOurs });
    }
  }

  class Room {
    state = "State.Disconnected";
    remoteParticipants = new Map();
    #handlers = new Map();
    constructor(options) {
      this.options = options;
      rooms.push(this);
      this.localParticipant = new Participant("", "Ada", () => this.emit("LocalTrackPublished"));
    }
    on(event, handler) {
      this.#handlers.set(event, [...(this.#handlers.get(event) ?? []), handler]);
      return this;
    }
    removeAllListeners() {
      this.#handlers.clear();
      return this;
    }
    emit(event, ...details) {
      for (const handler of this.#handlers.get(`Event.${event}`) ?? []) handler(...details);
    }
    async connect(url, token) {
      asked.push(["connect", url, token]);
      if (token === "refused") throw new Error("401");
      this.localParticipant.sid = `PA_own${rooms.length}`;
      this.localParticipant.permissions.canPublish = token !== "listener";
      this.move("Connected");
    }
    async disconnect(stops) {
      asked.push(["disconnect", stops]);
      this.move("Disconnected");
      this.emit("Disconnected", "Reason.CLIENT_INITIATED");
    }
    move(state) {
      this.state = `State.${state}`;
      this.emit("ConnectionStateChanged", this.state);
    }
    enter(sid, name) {
      this.remoteParticipants.set(sid, new Participant(sid, name));
      this.emit("ParticipantConnected");
      return this.remoteParticipants.get(sid);
    }
  }

  window.LivekitClient = {
    asked,
    rooms,
    setLogLevel: (level) => asked.push(["setLogLevel", level]),
    LocalAudioTrack: LocalTrack,
    LocalVideoTrack: LocalTrack,
    Room,
    RoomEvent: names("Event."),
    ConnectionQuality: names("Quality."),
    ConnectionState: names("State."),
    DisconnectReason: names("Reason."),
    Track: { Kind: names("Kind."), Source: names("Source.") },
  };
})();
