"""Where the code of agents runs: bytes in, bytes out, limits between. Start in `sandbox`."""
