"""The Browser Proxy: one device web page at a time, each under a host name of its own.

    browser ── request ──> site ──> handover   (no session yet: to the portal and back)
                            │
                            ├────> decision   session? second factor? permission? whose page asks?   (pure)
                            │
                            └────> forward ──> headers, rewrite   what the device and the browser may see   (pure)
                                      │
                                      └──────> device ──> http1   one connection through the agent's tunnel
                                                  └─────> tls     ends at the hub

`live` knows every exchange that is under way and ends it as soon as the permission, the session or the second factor is
gone. `problems` names all that can go wrong; each has a page that says what to do.
"""
