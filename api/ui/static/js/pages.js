// All of our own script. Each part is a module of its own.
import "./age-time.js";
import "./capability-status.js";
import "./circuit-lines.js";
import "./copy.js";
import "./costly.js";
import "./dialogs.js";
import "./fold.js";
import "./keep-place.js";
import "./live-stream.js";
import "./notices.js";
import "./session.js";
import "./theme-switch.js";
