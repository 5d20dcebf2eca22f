// Whose token it is and what it may. The token stays in this tab: sessionStorage, no cookie, no other storage.

const KEY = "videoconf.token";
const changed = new EventTarget();
const state = { token: null, claims: null, settings: null, problem: null };

/** Return the member of the claims that a setting names: by its whole name, else by its path through objects. */
function claimAt(claims, path) {
  if (Object.hasOwn(claims, path)) return claims[path];
  return path.split(".").reduce((found, part) => (found !== null && typeof found === "object" ? found[part] : undefined), claims);
}

/** Read the claims of a token without judging them: the service does that. Null where it is no JSON Web Token. */
export function readClaims(token) {
  try {
    const payload = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(payload), (one) => one.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return claims !== null && typeof claims === "object" && typeof claims.sub === "string" ? claims : null;
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
    return state.claims.sub;
  },
  get tenant() {
    return claimAt(state.claims, state.settings.tenantClaim) ?? state.settings.defaultTenant;
  },
  get expires() {
    return typeof state.claims.exp === "number" ? new Date(state.claims.exp * 1000) : null;
  },
  get permissions() {
    if (this.isOpen) return state.settings.permissions;
    const listed = claimAt(state.claims, state.settings.permissionsClaim);
    return Array.isArray(listed) ? listed.filter((one) => state.settings.permissions.includes(one)) : [];
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
