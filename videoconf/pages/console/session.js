// Whose token it is and what it may. The token stays in this tab: sessionStorage, no cookie, no other storage.

const KEY = "videoconf.token";
const changed = new EventTarget();
const state = { token: null, claims: null, settings: null, problem: null };

/** Return a claim by its whole name, else by its path through objects; names may have full stops, and the longest wins. */
function claimAt(claims, path) {
  if (Object.hasOwn(claims, path)) return claims[path];
  for (let end = path.lastIndexOf("."); end > 0; end = path.lastIndexOf(".", end - 1)) {
    const name = path.slice(0, end);
    if (Object.hasOwn(claims, name) && isObject(claims[name])) return claimAt(claims[name], path.slice(end + 1));
  }
  return undefined;
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** Return the strings of a claim: a list, or one string, whose words count each. */
function valuesOf(claim) {
  if (typeof claim === "string") return claim.split(/\s+/);
  return Array.isArray(claim) ? claim.filter((one) => typeof one === "string") : [];
}

/** Return the tenant of a claim: the text, or the one name of a list or an object, as identity providers have it. */
function nameOf(claim) {
  const names = isObject(claim) ? Object.keys(claim) : [claim].flat();
  return names.length === 1 ? names[0] : undefined;
}

/** Read the claims of a token without judging them: the service does that. Null where it is no JSON Web Token. */
export function readClaims(token) {
  try {
    const payload = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(payload), (one) => one.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isObject(claims) ? claims : null;
  } catch {
    return null;
  }
}

export const session = {
  /** Start with what this tab keeps; settings are those that the service's page gives. */
  start(settings) {
    state.settings = settings;
    if (settings.authentication === "disabled") {
      state.claims = { sub: "development" };
      return;
    }
    const token = sessionStorage.getItem(KEY);
    if (token !== null) this.accept(token);
  },
  /** Keep a token; false where it is no JSON Web Token. */
  accept(token) {
    const claims = readClaims(token.trim());
    if (claims === null) return false;
    Object.assign(state, { token: token.trim(), claims, problem: null });
    sessionStorage.setItem(KEY, state.token);
    changed.dispatchEvent(new Event("change"));
    return true;
  },
  /** Forget the token. `problem` says why, where the service refused it. */
  leave(problem = null) {
    if (!this.isOpen && this.isSignedIn) {
      sessionStorage.removeItem(KEY);
      Object.assign(state, { token: null, claims: null, problem });
      changed.dispatchEvent(new Event("change"));
    }
  },
  onChange: (listener, options) => changed.addEventListener("change", listener, options),
  get isSignedIn() {
    return state.claims !== null;
  },
  /** The service checks no tokens: a development run. */
  get isOpen() {
    return state.settings.authentication === "disabled";
  },
  get token() {
    return state.token;
  },
  get problem() {
    return state.problem;
  },
  get settings() {
    return state.settings;
  },
  get subject() {
    if (this.isOpen) return state.claims.sub;
    return String(state.settings.subjectClaims.map((path) => claimAt(state.claims, path)).find((one) => one !== undefined && one !== null) ?? "");
  },
  get tenant() {
    return nameOf(claimAt(state.claims, state.settings.tenantClaim)) ?? state.settings.defaultTenant;
  },
  get expires() {
    return typeof state.claims.exp === "number" ? new Date(state.claims.exp * 1000) : null;
  },
  get permissions() {
    if (this.isOpen) return state.settings.permissions;
    const { permissions, permissionsClaims, permissionsPrefix, hasPermissionGroups } = state.settings;
    if (hasPermissionGroups) return permissions; // what a group may is the service's to know: it refuses what is too much
    const listed = permissionsClaims.flatMap((path) => valuesOf(claimAt(state.claims, path)));
    return permissions.filter((one) => listed.includes(permissionsPrefix + one));
  },
  /** Tell whether the token carries these permissions, all of them. */
  can: (...permissions) => permissions.every((one) => session.permissions.includes(one)),
  /** Return the meeting roles that the token may give; null: every role. */
  get meetingRoles() {
    const roles = state.claims.meetingRoles;
    return Array.isArray(roles) ? roles.map((role) => String(role).toLowerCase()) : null;
  },
  /** What a provider can do; a provider that is not enabled any more can do nothing. */
  provider: (key) => state.settings.providers[key] ?? { features: [], roles: [] },
};
