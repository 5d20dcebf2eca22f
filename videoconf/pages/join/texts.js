// Every text of the join page. A translation is one more file like this one.

const CLOCK = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat("en", { weekday: "long", day: "numeric", month: "long" });

/** Return a time as people say it: "today at 14:05". */
export function when(date, now = new Date()) {
  const days = Math.round((midnight(date) - midnight(now)) / 86_400_000);
  const day = days === 0 ? "today" : days === 1 ? "tomorrow" : `on ${DAY.format(date)}`;
  return `${day} at ${CLOCK.format(date)}`;
}

function midnight(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

/** Return a span of time in words: "12 minutes". */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const units = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];
  const at = units.findIndex(([, size]) => seconds >= size);
  if (at === -1) return "a moment";
  const [unit, size] = units[at];
  const count = Math.floor(seconds / size);
  const words = `${count} ${unit}${count === 1 ? "" : "s"}`;
  const rest = at < 2 ? Math.floor((seconds % size) / units[at + 1][1]) : 0;
  return rest ? `${words} ${rest} ${units[at + 1][0]}${rest === 1 ? "" : "s"}` : words;
}

export const texts = {
  meeting: "Meeting",
  invitedBy: (name) => ["", name, " invited you"],
  joiningAs: (name) => ["You join as ", name, ""],
  stopWaiting: "Stop waiting",
  name: "Your name",
  namePlaceholder: "How others see you",
  join: "Join",
  joining: "Joining…",
  waiting: "Waiting…",
  waitHere: "Wait here",
  unnamed: "Guest",
  you: "You",
  preview: "What your camera shows",
  cameraOff: "Your camera is off",
  starting: "Starting your camera…",
  devices: "Choose devices",
  camera: { on: "Switch the camera off", off: "Switch the camera on", name: "Camera" },
  microphone: { on: "Mute the microphone", off: "Unmute the microphone", name: "Microphone" },
  device: (number) => `Device ${number}`,
  trouble: {
    camera: {
      denied: "This page may not use your camera. Allow it beside the address of this page, or join without it.",
      missing: "This device has no camera. You can join without one.",
      busy: "Another program uses your camera. Close it, and switch the camera on here.",
    },
    microphone: {
      denied: "This page may not use your microphone. Allow it beside the address of this page, or only listen.",
      missing: "This device has no microphone. You can still listen.",
      busy: "Another program uses your microphone. Close it, and switch the microphone on here.",
    },
    both: {
      denied: "This page may not use your camera and microphone. Allow them beside the address of this page, or join without them.",
      missing: "This device has neither a camera nor a microphone. You can still watch and listen.",
      busy: "Another program uses your camera and microphone. Close it, and switch them on here.",
    },
  },
  hint: {
    open: "You join at once.",
    viewer: "You watch and listen. Your camera and microphone stay off.",
    ask: "The host lets you in.",
    host: "You are the host. You let others in.",
    early: (opens, left) => `Opens ${when(opens)}, in ${span(left)}. You can wait here.`,
    earlyWaiting: (opens, left) => `It opens ${when(opens)}, in ${span(left)}, and you come in by yourself.`,
    lobby: "The host knows that you are here, and will let you in. Keep this page open.",
    joining: "One moment.",
    offline: "You are offline. The page continues when your connection is back.",
    busy: (seconds) => `The service is busy. The page tries again in ${span(seconds * 1000)}.`,
    name: "Enter your name, so that others know who you are.",
  },
  page: {
    incomplete: ["This link is incomplete", "A part of it is missing. Open the whole link from your invitation, or ask for a new one."],
    unknown: ["This link does not work", "It may have been used up or withdrawn. Ask for a new one."],
    ended: ["The meeting has ended", "Thank you for being there. You can close this page."],
    left: ["You left", "The meeting continues without you."],
    removed: ["You were removed", "The host removed you from this meeting."],
    refused: ["The host did not let you in", "You can ask again, or write to who invited you."],
    banned: ["You cannot join this meeting", "The host does not allow it. Write to who invited you."],
    full: ["The meeting is full", "You can come in when someone leaves. The page tries again every few seconds."],
    elsewhere: ["This meeting is on another page", "Open it to join."],
    noClient: ["This page cannot show the meeting", "Its provider has no client for browsers here. Use the app of your organisation."],
    failed: ["The meeting cannot be reached", "The service does not answer as expected. Your place is kept; try again."],
    lost: ["The connection was lost", "It did not come back in time. Your place is kept."],
  },
  again: "Join again",
  askAgain: "Ask again",
  retry: "Try again",
  openElsewhere: "Open the meeting",
  room: {
    label: "Meeting",
    people: "People",
    leave: "Leave",
    microphoneOff: "microphone off",
    reconnecting: "Reconnecting…",
    alone: "You are the only one here",
    aloneHint: "Others appear as they join.",
    mutedByHost: "The host muted you. Unmute yourself when you want to speak.",
    joined: (name) => `${name} joined`,
    left: (name) => `${name} left`,
    page: (page, pages) => `Page ${page} of ${pages}`,
    previous: "Previous people",
    next: "Next people",
    controls: "Meeting controls",
  },
  host: {
    title: "People",
    close: "Close",
    waiting: (count) => (count === 1 ? "1 is waiting" : `${count} are waiting`),
    emptyLobby: "Who asks to come in appears here.",
    since: (date) => `since ${CLOCK.format(date)}`,
    admit: "Admit",
    refuse: "Refuse",
    here: (count) => `In the meeting: ${count}`,
    mute: "Mute",
    remove: "Remove",
    removeSure: "Remove for good?",
    muted: (name) => `${name} is muted`,
    removed: (name) => `${name} was removed`,
    admitted: (name) => `${name} comes in`,
    refusedOne: (name) => `${name} stays out`,
    end: "End the meeting for all",
    endSure: "End it for everyone?",
    failed: "That did not work. Try again.",
    arrived: (name) => `${name} asks to come in`,
  },
};
