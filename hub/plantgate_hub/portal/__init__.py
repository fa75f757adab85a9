"""The portal: server-rendered pages in German and English that work without script, and a little script on top.

`guards` lets people through, `desk` is what every page group works with, `site` lists the groups. A group is a class
with `routes()`; it reads the snapshot, asks `domain.policy` for every block, acts by the application services, and
hands plain values to a template. `live` tells open pages that something has changed.
"""
