// A module that the conformance kit must refuse: it exports something else than `join`, and asks for it early.
fetch("/telemetry").catch(() => {});
export const enter = () => {};
