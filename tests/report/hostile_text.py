"""Forty ways in which a name in a log could try to become more than a name."""

from __future__ import annotations

from typing import Any

ELSEWHERE = "http://127.0.0.1:9/"

PAYLOADS = (
    # a script, plainly and in disguise
    "<script>alert(1)</script>",
    "<ScRiPt/x>alert(1)</ScRiPt >",
    f"<script src={ELSEWHERE}x.js></script>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><script href='data:text/javascript,alert(1)'/></svg>",
    # elements that run something by themselves
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<video><source onerror=alert(1)></video>",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<body onload=alert(1)>",
    # leaving the element that the text stands in
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</desc></svg><img src=x onerror=alert(1)>",
    "</text><foreignObject><img src=x onerror=alert(1)></foreignObject>",
    "</summary></details><iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "--><script>alert(1)</script><!--",
    "]]><script>alert(1)</script>",
    "</textarea></noscript></template><script>alert(1)</script>",
    # leaving an attribute
    '" onmouseover="alert(1)" autofocus onfocus="alert(1)" x="',
    "' onclick='alert(1)' x='",
    '"><script>alert(1)</script>',
    "` onmouseover=alert(1) `",
    '" href="javascript:alert(1)" download="',
    # reaching for the network, or for the rest of the page
    f"<img src={ELSEWHERE}x.png>",
    f"<link rel=stylesheet href={ELSEWHERE}x.css>",
    f"<style>@import '{ELSEWHERE}x.css'; body {{ display: none }}</style>",
    f"<meta http-equiv=refresh content='0;url={ELSEWHERE}'>",
    f"<base href={ELSEWHERE}>",
    f"<form action={ELSEWHERE}><button autofocus>x</button></form>",
    f"<object data={ELSEWHERE}x></object><embed src={ELSEWHERE}x>",
    "<a id=content name=content href=javascript:alert(1)>x</a>",
    # escapes that somebody may undo once too often
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    # the languages in between: templates, spreadsheets, control characters
    "{{ ''.__class__.__mro__ }}{% for x in [] %}{% endfor %}{# #}${alert(1)}",
    '=HYPERLINK("javascript:alert(1)")\n\'@SUM(1)',
    "\x00\x08<scr\x00ipt>\u202ealert(1)\u2028\ud800</scr\x00ipt>",
)

NAMED = {
    *("schemes", "agents", "differences", "config", "not_readable", "groupings", "world"),
    *("training", "said"),
}
"""Mappings whose keys are names that somebody chose."""


FIXED = {
    *(("", "schema"), ("decoupling", "verdict"), ("verdict", "decision"), ("findings", "verdict")),
    *(("topology", "decides"), ("entries", "address"), ("entries", "page")),
}
"""Parent and key of parts whose strings can have no other values: others are refused."""
FIXED_ANYWHERE = {"kind", "axis"}


def hostile(document: dict[str, Any], payload: str) -> dict[str, Any]:
    """The document with the payload before every string, and before every chosen key."""
    agents = document.get("agents")
    names = {*agents} if isinstance(agents, dict | list) else set()
    changed: dict[str, Any] = _hostile(document, payload, names, "")
    return changed


def _hostile(value: Any, payload: str, agents: set[str], parent: str) -> Any:
    if isinstance(value, str):
        return payload + value
    if isinstance(value, list):
        return [_hostile(item, payload, agents, parent) for item in value]
    if isinstance(value, dict):
        return {
            payload + key if parent in NAMED or key in agents else key: item
            if (parent, key) in FIXED or key in FIXED_ANYWHERE
            else _hostile(item, payload, agents, key)
            for key, item in value.items()
        }
    return value
