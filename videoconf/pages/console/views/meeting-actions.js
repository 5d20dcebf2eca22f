// What can be done with a meeting: only what the token allows, the provider can do and the meeting's state permits.

import { at, patch, post, remove } from "../api.js";
import { h } from "../dom.js";
import { session } from "../session.js";
import { words } from "../words.js";
import { confirm, field } from "../elements/dialog.js";
import { invite } from "./meeting-door.js";

const { actions: text } = words;
const RUNNING = ["started", "paused"];

export const isRunning = (archive) => RUNNING.includes(archive.status);

/** Tell what the token may do with a meeting at this moment. Null for `people` where the token may not see them. */
export function allowed({ meeting, attendees, archives }) {
  const can = new Set(session.provider(meeting.provider).features);
  const isAlive = meeting.status === "open" || meeting.status === "scheduled";
  const isOpen = meeting.status === "open";
  const people = attendees === null ? null : attendees.filter((one) => one.active).length;
  const running = archives?.find(isRunning) ?? null;
  const mayRecord = isOpen && can.has("archiving") && !meeting.endToEndEncryption && people !== 0;
  return {
    people,
    running,
    end: isAlive && session.can("StopMeeting"),
    invite: isAlive && session.can("GenerateMeetingToken"),
    moderate: isOpen && can.has("moderation") && session.can("ModerateMeeting"),
    record: mayRecord && session.can("StartMeetingArchive") && running === null,
    stop: running !== null && can.has("archiving") && session.can("StopMeetingArchive"),
  };
}

export function actionsOf({ meeting, attendees, archives, changed }) {
  const may = allowed({ meeting, attendees, archives });
  const link = meeting.meetingLink;
  const button = (label, onclick, kind = "") => h("button", { class: `button ${kind}`, type: "button", onclick }, label);
  const asked = async (question) => (await confirm(question)) && changed();
  const buttons = [
    may.record &&
      button(text.record, () =>
        asked({
          title: text.recordTitle,
          text: text.recordText,
          button: text.record,
          done: text.recording,
          fields: [field("name", text.recordName, { maxlength: 80 })],
          act: ({ name }) => post(at`/session/${link}/archives`, name === "" ? {} : { name }),
        }),
      ),
    may.stop &&
      button(text.stop, () =>
        asked({ title: text.stopTitle, text: text.stopText, button: text.stop, done: text.stopped, act: () => post(at`/archives/${may.running.id}/stop`) }),
      ),
    may.moderate &&
      may.people !== 0 &&
      button(text.muteAll, () =>
        asked({ title: text.muteAllTitle, text: text.muteAllText, button: text.muteAll, done: text.mutedAll, act: () => post(at`/session/${link}/mute`) }),
      ),
    may.end &&
      button(
        text.end,
        () =>
          asked({
            title: text.endTitle,
            text: text.endText(may.people),
            button: text.end,
            done: text.ended,
            isDangerous: true,
            act: () => patch(at`/session/${link}/end`),
          }),
        "danger",
      ),
    may.invite && button(text.invite, () => invite(meeting).then(changed), "primary"),
  ].filter(Boolean);
  return buttons.length > 0 && h("div", { class: "actions", role: "group", "aria-label": text.title }, buttons);
}

/** What can be done with one person who is there: their connections are muted or disconnected together. */
export function personActions(link, attendee, name, changed) {
  const here = attendee.connections.filter((one) => one.left === null).map((one) => one.id);
  const asked = async (question) => (await confirm(question)) && changed();
  const each = (act) => async () => {
    for (const connection of here) await act(connection);
  };
  const actions = [];
  if (here.length > 0) {
    actions.push(
      [text.mute, () => asked({ title: text.muteTitle(name), text: text.muteText, button: text.mute, done: text.muted(name), act: each((id) => post(at`/session/${link}/attendees/${id}/mute`)) })],
      [
        text.disconnect,
        () => asked({ title: text.disconnectTitle(name), text: text.disconnectText, button: text.disconnect, done: text.disconnected(name), act: each((id) => remove(at`/session/${link}/attendees/${id}`)), isDangerous: true }),
      ],
    );
  }
  actions.push([
    text.ban,
    () =>
      asked({
        title: text.banTitle(name),
        text: text.banText,
        button: text.ban,
        done: text.banned(name),
        isDangerous: true,
        fields: [field("reason", text.banReason, { maxlength: 255 })],
        act: ({ reason }) =>
          post(at`/session/${link}/bans`, {
            ...(attendee.attendee === null ? { connectionId: attendee.connections[0].id } : { attendee: attendee.attendee }),
            ...(reason === "" ? {} : { reason }),
          }),
      }),
  ]);
  return actions;
}
