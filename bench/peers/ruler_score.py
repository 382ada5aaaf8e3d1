"""RULER on groups from standard input, with openpipe-art's own code; run by bench/ruler.py.

Reads `{"url", "times", "groups": [[messages of a run, ...], ...]}`; prints, for each group and
time, the scores in the order in which RULER returns them, or the error that it raised.
"""

import asyncio
import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["OPENAI_API_KEY"] = "none"


async def main() -> None:
    from art.rewards.ruler import ruler

    request = json.load(sys.stdin)
    local = {"api_base": request["url"], "num_retries": 0}
    rows = []
    for messages in request["groups"]:
        row = []
        for _ in range(request["times"]):
            try:
                scores = await ruler(messages, "openai/local", extra_litellm_params=local)
                row.append([each.score for each in scores])
            except Exception as error:
                row.append(type(error).__name__)
        rows.append(row)
    print("RESULT " + json.dumps(rows))


asyncio.run(main())
