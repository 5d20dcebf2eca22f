// Vonage's client for browsers: Vonage's own SDK, from the URL that the operator has configured. It is tested on a stub of
// the SDK, and untried on the real one.

const NOT_SHOWN = { insertDefaultUI: false };

export async function join({ token, session: sessionId, connect, name, media, on, options }) {
  const OT = await loaded(options.sdkUrl, options.sdkIntegrity);
  const session = OT.initSession(connect.applicationId ?? connect.apiKey, sessionId);
  const own = () => session.connection?.connectionId;
  let isOver = false;
  let publisher = null;

  const end = (reason) => {
    if (isOver) return;
    isOver = true;
    on("ended", { reason });
  };
  const nameOf = (stream) => stream.name || null;

  session.on({
    streamCreated({ stream }) {
      const { connectionId: id } = stream.connection;
      on("joined", { id, name: nameOf(stream), camera: stream.hasVideo, microphone: stream.hasAudio });
      const subscriber = session.subscribe(stream, undefined, NOT_SHOWN, (error) => error && console.warn(error.message));
      subscriber.on("videoElementCreated", ({ element }) => play(id, element.srcObject));
    },
    streamPropertyChanged({ stream, changedProperty, newValue }) {
      const kind = { hasVideo: "camera", hasAudio: "microphone" }[changedProperty];
      if (kind) on("state", { id: stream.connection.connectionId, [kind]: newValue });
    },
    streamDestroyed({ stream }) {
      for (const kind of ["audio", "video"]) on("track", { id: stream.connection.connectionId, kind, track: null });
    },
    connectionDestroyed: ({ connection }) => on("left", { id: connection.connectionId }),
    sessionReconnecting: () => on("state", { connection: "reconnecting" }),
    sessionReconnected: () => on("state", { connection: "connected" }),
    sessionDisconnected({ reason }) {
      end({ clientDisconnected: "left", forceDisconnected: "removed" }[reason] ?? "failed");
    },
  });

  function play(id, stream) {
    for (const track of stream?.getTracks() ?? []) on("track", { id, kind: track.kind, track });
  }

  await called((done) => session.connect(token, done));
  on("joined", { id: own(), name, own: true });

  /** Publish what there is. The page owns the tracks, and its own tile shows them. */
  async function publish() {
    if (publisher || (!media.camera && !media.microphone)) return;
    publisher = OT.initPublisher(undefined, {
      ...NOT_SHOWN,
      name: name ?? undefined,
      videoSource: media.camera ?? false,
      audioSource: media.microphone ?? false,
    });
    publisher.on("muteForced", () => on("state", { id: own(), microphone: false }));
    await called((done) => session.publish(publisher, done));
  }

  /** Vonage has no way to add a kind of track later, so a first one of a kind means to publish again. */
  async function publishAgain() {
    if (publisher) session.unpublish(publisher);
    publisher = null;
    await publish();
  }

  async function send(kind, track) {
    const before = media[kind];
    media[kind] = track;
    if (!publisher || (track && !before)) return publishAgain();
    if (kind === "camera") publisher.publishVideo(Boolean(track));
    else publisher.publishAudio(Boolean(track));
    if (track && kind === "camera") await publisher.setVideoSource(track.getSettings().deviceId);
    if (track && kind === "microphone") await publisher.setAudioSource(track);
  }

  await publish();
  return {
    leave() {
      isOver = true;
      session.disconnect();
    },
    setCamera: (track) => send("camera", track),
    setMicrophone: (track) => send("microphone", track),
  };
}

/** Load the SDK, which is a plain script, and which the browser checks by its hash where one is configured. */
function loaded(url, integrity) {
  if (globalThis.OT) return Promise.resolve(globalThis.OT);
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: url, crossOrigin: "anonymous" });
    if (integrity) script.integrity = integrity;
    script.onload = () => (globalThis.OT ? resolve(globalThis.OT) : reject(new Error("the script at the SDK's URL is not Vonage's SDK")));
    script.onerror = () => reject(new Error("Vonage's SDK cannot be loaded"));
    document.head.append(script);
  });
}

function called(work) {
  return new Promise((resolve, reject) => work((error) => (error ? reject(error) : resolve())));
}
