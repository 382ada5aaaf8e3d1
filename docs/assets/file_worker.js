// The search of the site runs in a worker, and a browser starts no worker for a page that is opened
// as a file. There, this class runs the worker's script in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = []; // messages that came before the script was loaded
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.onload = () => this.start(new URL(url, document.baseURI).href);
      document.body.append(this.frame);
    }

    start(url) {
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.deliver(this, MessageEvent, data);
      const script = inside.document.createElement("script");
      script.onload = () => {
        const waiting = this.waiting;
        this.waiting = null;
        waiting.forEach((data) => this.postMessage(data));
      };
      script.onerror = () => this.onerror?.(new Event("error"));
      script.src = url;
      inside.document.body.append(script);
    }

    deliver(target, Kind, data) {
      const event = new Kind("message", { data: structuredClone(data) });
      // A worker answers later, never in the middle of a call.
      setTimeout(() => {
        target.dispatchEvent(event);
        if (target === this) this.onmessage?.(event);
      });
    }

    postMessage(data) {
      if (this.waiting) this.waiting.push(data);
      else this.deliver(this.frame.contentWindow, this.frame.contentWindow.MessageEvent, data);
    }

    terminate() {
      this.frame.remove();
    }
  };
}
