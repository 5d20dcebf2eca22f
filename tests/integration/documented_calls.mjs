// Makes the documented calls as the documentation writes them: with fetch, its methods, paths and headers. Placeholders
// ({}, "string", dates of 2019) stand for valid values. Prints the operations that answered as documented.
//
// BASE_URL        the service
// TOKENS          JSON: for each permission a bearer token that carries it and no other; absent: authentication is off
// WEBHOOK_SECRET  what the provider signs its webhooks with

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";

const { BASE_URL, TOKENS, WEBHOOK_SECRET } = process.env;
const tokens = TOKENS === undefined ? null : JSON.parse(TOKENS);
const answered = [];

async function call(operation, permission, path, options, status) {
  const headers = { ...options.headers };
  if (tokens !== null && permission !== null) {
    headers["Authorization"] = `Bearer ${tokens[permission]}`;
  }
  const res = await fetch(`${BASE_URL}${path}`, { ...options, headers });
  assert.equal(res.status, status, `${operation}: ${res.status} ${res.status === status ? "" : await res.text()}`);
  answered.push(operation);
  return res;
}

async function callForNothing(...args) {
  const res = await call(...args, 204);
  assert.equal(await res.text(), "");
}

// The body that the documentation sends to PATCH /session/{meetingLinkId}, its placeholders replaced.
function editedMeeting(link, sessionId) {
  const now = new Date().toISOString();
  return {
    deleted: true,
    deletedOn: now,
    deletedBy: "string",
    createdOn: now,
    modifiedOn: now,
    createdBy: "string",
    modifiedBy: "string",
    id: 0,
    sessionId,
    meetingLink: link,
    isScheduled: true,
    scheduleTime: new Date(Date.now() + 60_000).toISOString(),
    isArchived: true,
    archiveId: "string",
    uploadTarget: "string",
    startTime: now,
    endTime: now,
    extId: "string",
    extMetadata: {},
  };
}

// What the provider adds to the documented headers to prove where a webhook comes from (Standard Webhooks).
function signature(id, body) {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const key = Buffer.from(WEBHOOK_SECRET.slice("whsec_".length), "base64");
  const digest = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${digest}` };
}

let res = await call(
  "getMeetingLink",
  "CreateMeetingSession",
  "/session",
  {
    method: "POST",
    body: JSON.stringify({}),
    headers: { "Content-Type": "application/json", Accept: "text/plain" },
  },
  200,
);
assert.match(res.headers.get("content-type"), /^text\/plain\b/);
const link = await res.json();
assert.match(link, /^[\w-]{22,}$/);

res = await call(
  "getMeetingToken",
  "GenerateMeetingToken",
  `/session/${link}/token`,
  {
    method: "POST",
    body: JSON.stringify({}),
    headers: { "Content-Type": "application/json", Accept: "application/json" },
  },
  200,
);
assert.match(res.headers.get("content-type"), /^application\/json\b/);
const { sessionId, token } = await res.json();
assert.ok(sessionId.length > 0 && token.length > 0);

const at = new Date().toISOString();
const id = randomUUID();
const event = {
  id,
  type: "connection.created",
  session: sessionId,
  at,
  connection: { id: "connection-1", created_at: at, attendee: "ann" },
};
const body = JSON.stringify(event);
await callForNothing("checkWebhookPayload", null, "/webhooks/session", {
  method: "POST",
  body,
  headers: { "Content-Type": "application/json", ...signature(id, body) },
});

for (const [query, found] of [
  ["", 1],
  ["?active=true", 1],
  ["?active=false", 0],
]) {
  res = await call(
    "getAttendeesList",
    "GetMeetingAttendees",
    `/session/${link}/attendees${query}`,
    { method: "GET", headers: { Accept: "text/plain" } },
    200,
  );
  const attendees = await res.json();
  assert.ok(Array.isArray(attendees));
  assert.equal(attendees.length, found, query);
}

await callForNothing("editMeeting", "EditMeeting", `/session/${link}`, {
  method: "PATCH",
  body: JSON.stringify(editedMeeting(link, sessionId)),
  headers: { "Content-Type": "application/json" },
});

await callForNothing("endSession", "StopMeeting", `/session/${link}/end`, { method: "PATCH" });

console.log(JSON.stringify({ link, answered: [...new Set(answered)] }));
