"""The portal's pages: server-rendered, no script, German and English."""
