// The fake provider's client for browsers: a simulated room. People and what they send are real at the made-up vendor, so
// that attendance follows what one does in two tabs; pictures and sounds are not sent.

const LOOK_MS = 700;
const GIVE_UP_MS = 60_000;
const REASONS = { forced: "removed", ended: "ended", left: "left" };

export async function join({ token, media, on, renew, options }) {
  const sent = new Map(); // stream: whether it is published
  let connection = null;
  let isOver = false;
  let timer = null;
  let lostSince = null;
  let seen = new Map(); // connection: name and streams, as they were reported

  /** Do something at the vendor. A body without a content type of its own needs no question beforehand. */
  async function act(name, body) {
    const response = await fetch(options.acts + name, { method: "POST", body: JSON.stringify(body), cache: "no-store" });
    const answer = await response.json();
    if (!response.ok) throw Object.assign(new Error(answer.error), { status: response.status });
    return answer;
  }

  async function enter(withToken) {
    connection = (await act("join", { token: withToken })).connection;
    sent.clear();
    await Promise.all([send("camera", media.camera), send("microphone", media.microphone)]);
  }

  async function send(stream, track) {
    media[stream] = track;
    if (Boolean(track) === Boolean(sent.get(stream))) return;
    sent.set(stream, Boolean(track));
    await act(track ? "publish" : "unpublish", { connection, stream });
  }

  async function look() {
    try {
      const { reason, people } = await act("look", { connection });
      if (isOver) return;
      if (reason && REASONS[reason]) return end(REASONS[reason]);
      if (reason) throw new Error(reason); // the network has failed
      report(people);
      if (lostSince) on("state", { connection: "connected" });
      lostSince = null;
    } catch (error) {
      if (isOver) return;
      if (!lostSince) on("state", { connection: "reconnecting" });
      lostSince ??= Date.now();
      if (Date.now() - lostSince > GIVE_UP_MS) return end("failed");
      await renew().then(({ token: fresh }) => enter(fresh)).catch(() => {});
    }
    if (!isOver) timer = setTimeout(look, LOOK_MS);
  }

  function report(people) {
    const there = new Map(people.map((one) => [one.connection, one]));
    for (const id of seen.keys()) if (!there.has(id)) on("left", { id });
    for (const [id, { name, streams }] of there) {
      const own = id === connection;
      const state = { camera: streams.includes("camera"), microphone: streams.includes("microphone") };
      if (!seen.has(id)) {
        on("joined", { id, name, own, ...(!own && state) });
      } else if (own) {
        const isMuted = sent.get("microphone") && !state.microphone && seen.get(id).streams.includes("microphone");
        if (isMuted) on("state", { id, microphone: false });
      } else if (seen.get(id).streams.join() !== streams.join()) {
        on("state", { id, ...state });
      }
    }
    seen = there;
  }

  function end(reason) {
    isOver = true;
    clearTimeout(timer);
    on("ended", { reason });
  }

  await enter(token);
  await look();
  return {
    leave() {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      // Also where the page is being closed, when a fetch would be cancelled.
      navigator.sendBeacon(`${options.acts}leave`, JSON.stringify({ connection }));
    },
    setCamera: (track) => send("camera", track),
    setMicrophone: (track) => send("microphone", track),
  };
}
