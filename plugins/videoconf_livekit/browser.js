// LiveKit's client for browsers: LiveKit's own SDK, `livekit-client`, from the URL that the operator has configured.

const GIVE_UP_MS = 60_000;
const AGAIN_MS = [0, 500, 1_000, 2_000, 4_000];
const KINDS = ["camera", "microphone"];

/** Take part, and come back by a new token when the SDK has given up a lost connection. */
export async function join({ token, connect, name, media, on, renew, options }) {
  if (connect.endToEndEncryption) throw new Error("this page has no key for a meeting that is encrypted end to end");
  const sdk = await loaded(options.sdkUrl, options.sdkIntegrity);
  const { ConnectionQuality, ConnectionState, DisconnectReason, LocalAudioTrack, LocalVideoTrack, Room, RoomEvent, Track } = sdk;
  const ends = {
    [DisconnectReason.CLIENT_INITIATED]: "left",
    [DisconnectReason.DUPLICATE_IDENTITY]: "left", // this token was used again, elsewhere
    [DisconnectReason.PARTICIPANT_REMOVED]: "removed",
    [DisconnectReason.ROOM_DELETED]: "ended",
  };
  const wanted = { camera: media.camera, microphone: media.microphone };
  const turns = { camera: Promise.resolve(), microphone: Promise.resolve() };
  const shown = new Map(); // connection id: what was reported
  let room = null;
  let isOver = false;

  function end(reason) {
    if (isOver) return;
    isOver = true;
    on("ended", { reason });
  }

  async function enter({ token, connect }) {
    // The page shows the tracks and owns its own: the SDK can neither see which are visible, nor may it stop one.
    const entered = new Room({ dynacast: true, stopLocalTrackOnUnpublish: false, disconnectOnPageLeave: false });
    room = entered;
    let isDue = false;
    /** Look once after all that happens at one time: during a reconnection the SDK lets go of everyone for a moment. */
    const lookSoon = () => {
      if (isDue) return;
      isDue = true;
      queueMicrotask(() => {
        isDue = false;
        if (room === entered) look();
      });
    };
    for (const event of changes(RoomEvent)) entered.on(event, lookSoon);
    try {
      await entered.connect(connect.url, token);
      if (isOver) return await entered.disconnect(false);
      look();
      await sendAll();
      if (entered.state === ConnectionState.Disconnected) throw new Error("the connection ended at once");
      entered.on(RoomEvent.ConnectionStateChanged, follow);
      entered.on(RoomEvent.Reconnected, () => sendAll().catch((error) => console.warn(error.message)));
      entered.on(RoomEvent.Disconnected, (reason) => (ends[reason] ? end(ends[reason]) : comeBack()));
    } catch (error) {
      await entered.removeAllListeners().disconnect(false);
      throw error;
    }
  }

  function follow(state) {
    if (state === ConnectionState.Disconnected) return;
    on("state", { connection: state === ConnectionState.Connected ? "connected" : "reconnecting" });
  }

  async function comeBack() {
    if (isOver) return;
    on("state", { connection: "reconnecting" });
    const since = Date.now();
    for (let attempt = 0; !isOver && Date.now() - since < GIVE_UP_MS; attempt += 1) {
      await wait(AGAIN_MS[Math.min(attempt, AGAIN_MS.length - 1)]);
      try {
        await enter(await renew());
        on("state", { connection: "connected" });
        return;
      } catch (error) {
        console.debug(error);
      }
    }
    end("failed");
  }

  // --- who is there -----------------------------------------------------------------------------------------------

  /** Report how the room differs from what was reported. */
  function look() {
    if (isOver || room.state !== ConnectionState.Connected) return;
    const own = room.localParticipant;
    const there = new Map([own, ...room.remoteParticipants.values()].map((one) => [one.sid, one]));
    for (const id of shown.keys()) {
      if (there.has(id)) continue;
      shown.delete(id);
      on("left", { id });
    }
    for (const [id, participant] of there) {
      const before = shown.get(id);
      const now = seen(participant);
      shown.set(id, now);
      if (participant === own) reportOwn(id, now, before);
      else reportOther(id, now, before);
    }
  }

  function seen(participant) {
    return {
      name: participant.name || null,
      state: {
        camera: participant.isCameraEnabled,
        microphone: participant.isMicrophoneEnabled,
        speaking: participant.isSpeaking,
        lost: participant.connectionQuality === ConnectionQuality.Lost,
      },
      tracks: { audio: trackOf(participant, Track.Kind.Audio), video: trackOf(participant, Track.Kind.Video) },
    };
  }

  /** Return the newest track of a kind; a shared screen comes after the camera, for example. */
  function trackOf(participant, kind) {
    const tracks = [...participant.trackPublications.values()].filter((one) => one.kind === kind && one.track);
    return tracks.at(-1)?.track.mediaStreamTrack ?? null;
  }

  /** Report the person at this page, who was muted where a track is muted that the page wants to send. */
  function reportOwn(id, now, before) {
    if (!before) on("joined", { id, name, own: true });
    const { speaking, lost } = now.state;
    const muted = KINDS.filter((kind) => before?.state[kind] && !now.state[kind] && wanted[kind]);
    reportState(id, { speaking, lost, ...Object.fromEntries(muted.map((kind) => [kind, false])) }, before);
  }

  function reportOther(id, now, before) {
    if (!before || before.name !== now.name) on("joined", { id, name: now.name });
    for (const [kind, track] of Object.entries(now.tracks)) {
      if (track !== (before?.tracks[kind] ?? null)) on("track", { id, kind, track });
    }
    reportState(id, now.state, before);
  }

  function reportState(id, state, before) {
    const changed = Object.entries(state).filter(([what, is]) => is !== before?.state[what]);
    if (changed.length) on("state", { id, ...Object.fromEntries(changed) });
  }

  // --- what is sent -----------------------------------------------------------------------------------------------

  /** Send a track, or none, once the change before it is done. */
  function send(kind, track) {
    wanted[kind] = track;
    turns[kind] = turns[kind].catch(() => {}).then(() => settle(kind));
    return turns[kind];
  }

  const sendAll = () => Promise.all(KINDS.map((kind) => send(kind, wanted[kind])));

  async function settle(kind) {
    if (room.state !== ConnectionState.Connected) return; // the SDK publishes again, and then this follows
    const [track, source] = [wanted[kind], kind === "camera" ? Track.Source.Camera : Track.Source.Microphone];
    const own = room.localParticipant;
    const publication = own.getTrackPublication(source);
    if (!track) return publication?.mute();
    if (!publication) return own.permissions?.canPublish && own.publishTrack(localTrack(track), { source });
    if (publication.track.mediaStreamTrack !== track) await publication.track.replaceTrack(track, true);
    return publication.unmute();
  }

  /** The SDK takes a bare track of the page for none, since this frame has a `MediaStreamTrack` of its own. */
  function localTrack(track) {
    return new (track.kind === "video" ? LocalVideoTrack : LocalAudioTrack)(track, undefined, true);
  }

  await enter({ token, connect });
  return {
    leave() {
      isOver = true;
      return room.disconnect(false);
    },
    setCamera: (track) => send("camera", track),
    setMicrophone: (track) => send("microphone", track),
  };
}

/** Give the SDK's events after which the room may look different. */
function changes(RoomEvent) {
  return [
    RoomEvent.ParticipantConnected,
    RoomEvent.ParticipantDisconnected,
    RoomEvent.ParticipantNameChanged,
    RoomEvent.TrackPublished,
    RoomEvent.TrackUnpublished,
    RoomEvent.TrackSubscribed,
    RoomEvent.TrackUnsubscribed,
    RoomEvent.TrackMuted,
    RoomEvent.TrackUnmuted,
    RoomEvent.LocalTrackPublished,
    RoomEvent.LocalTrackUnpublished,
    RoomEvent.ActiveSpeakersChanged,
    RoomEvent.ConnectionQualityChanged,
    RoomEvent.Reconnected,
  ];
}

/** Load the SDK, which is a plain script. The browser runs no file but the one with the configured hash. */
function loaded(url, integrity) {
  if (globalThis.LivekitClient) return Promise.resolve(globalThis.LivekitClient);
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: url, crossOrigin: "anonymous", integrity });
    script.onload = () => {
      if (!globalThis.LivekitClient) return reject(new Error("the script at the SDK's URL is not livekit-client"));
      LivekitClient.setLogLevel("silent"); // it logs errors also where the server ends a connection as it should
      resolve(LivekitClient);
    };
    script.onerror = () => reject(new Error("livekit-client cannot be loaded"));
    document.head.append(script);
  });
}

function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
