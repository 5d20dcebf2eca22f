// What the console reads from a token: the same claims as the service does.

import assert from "node:assert/strict";
import { test } from "node:test";

import { session } from "../../../videoconf/pages/console/session.js";

globalThis.sessionStorage = new (class extends Map {
  getItem = (key) => this.get(key) ?? null;
  setItem = (key, value) => this.set(key, value);
  removeItem = (key) => this.delete(key);
})();

const SETTINGS = {
  authentication: "jwt",
  subjectClaims: ["sub"],
  permissionsClaims: ["permissions"],
  permissionsPrefix: "",
  hasPermissionGroups: false,
  tenantClaim: "tenant",
  defaultTenant: "default",
  permissions: ["GetMeetings", "GetEvents"],
  providers: {},
};

function signedIn(claims, settings = {}) {
  sessionStorage.clear();
  session.start({ ...SETTINGS, ...settings });
  assert.equal(session.accept(`e30.${btoa(JSON.stringify(claims)).replace(/=+$/, "")}.x`), true);
  return session;
}

test("permissions are read from each claim, as lists and as words", () => {
  assert.deepEqual(signedIn({ sub: "u", permissions: ["GetEvents", "Unknown", 7] }).permissions, ["GetEvents"]);
  const settings = { permissionsClaims: ["realm.roles", "scope"], permissionsPrefix: "vc/" };
  const claims = { sub: "u", realm: { roles: ["vc/GetEvents"] }, scope: "openid vc/GetMeetings" };
  assert.deepEqual(signedIn(claims, settings).permissions, ["GetMeetings", "GetEvents"]);
  assert.deepEqual(signedIn({ sub: "u", scope: "GetMeetings" }, settings).permissions, []);
  assert.deepEqual(signedIn({ sub: "u", realm: null, scope: 7 }, settings).permissions, []);
});

test("a name with full stops is one name where a claim has it, and the longest wins", () => {
  const settings = { permissionsClaims: ["https://a.example/roles", "apps.my.app.roles"] };
  assert.deepEqual(signedIn({ sub: "u", "https://a.example/roles": "GetEvents" }, settings).permissions, ["GetEvents"]);
  assert.deepEqual(signedIn({ sub: "u", apps: { "my.app": { roles: ["GetMeetings"] } } }, settings).permissions, ["GetMeetings"]);
  assert.deepEqual(signedIn({ sub: "u" }, { permissionsClaims: ["constructor.name", "__proto__"] }).permissions, []);
});

test("groups are the service's to know, so the page offers everything", () => {
  assert.deepEqual(signedIn({ sub: "u", permissions: ["admins"] }, { hasPermissionGroups: true }).permissions, SETTINGS.permissions);
});

test("a program without a subject is named by another claim", () => {
  const program = signedIn({ azp: "app", tenant: { north: {} } }, { subjectClaims: ["sub", "azp"] });
  assert.deepEqual([program.subject, program.tenant], ["app", "north"]);
  assert.deepEqual([signedIn({ sub: 7, tenant: ["south"] }).subject, session.tenant], ["7", "south"]);
  assert.equal(signedIn({ sub: "u" }).tenant, "default");
});

test("what is no JSON Web Token is not taken", () => {
  for (const text of ["", "a.b.c", `e30.${btoa("[]")}.x`, `e30.${btoa("null")}.x`]) assert.equal(session.accept(text), false);
});
