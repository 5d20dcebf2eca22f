// A stub of Vonage's SDK: the parts that our client uses, by Vonage's documentation. It notes what it is asked for.
window.OT = {
  asked: [],
  initSession(account, id) {
    OT.asked.push(["initSession", account, id]);
    OT.session = {
      handlers: {},
      connection: null,
      on(handlers) {
        Object.assign(this.handlers, handlers);
      },
      connect(token, done) {
        OT.asked.push(["connect", token]);
        if (token === "refused") return done(new Error("OT_AUTHENTICATION_ERROR"));
        this.connection = { connectionId: "own-connection" };
        done();
      },
      publish(publisher, done) {
        OT.asked.push(["publish", Boolean(publisher.options.videoSource), Boolean(publisher.options.audioSource)]);
        done();
      },
      unpublish: () => OT.asked.push(["unpublish"]),
      subscribe(stream, _element, options, done) {
        OT.asked.push(["subscribe", stream.streamId, options.insertDefaultUI]);
        done();
        return {
          on(event, handler) {
            const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 9 });
            canvas.getContext("2d");
            const element = { srcObject: canvas.captureStream(1) };
            queueMicrotask(() => handler({ element }));
          },
        };
      },
      disconnect: () => OT.asked.push(["disconnect"]),
    };
    return OT.session;
  },
  initPublisher(_element, options) {
    const publisher = { options, handlers: {} };
    publisher.on = (event, handler) => (publisher.handlers[event] = handler);
    publisher.publishVideo = (on) => OT.asked.push(["publishVideo", on]);
    publisher.publishAudio = (on) => OT.asked.push(["publishAudio", on]);
    publisher.setVideoSource = async () => OT.asked.push(["setVideoSource"]);
    publisher.setAudioSource = async () => OT.asked.push(["setAudioSource"]);
    OT.publisher = publisher;
    return publisher;
  },
};
