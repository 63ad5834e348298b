"""IIIF Image API 3.0 server and viewer for a folder of `.jp2` and `.wlic` files.

- request: what a URL asks for, and what that means for an image of a size: pure functions
- site: which files there are and may be reached
- source: an opened file as 8-bit windows of its levels
- cache: decoded windows, bounded in bytes
- render: level and window for a request, pixels to JPEG, PNG or WebP
- documents: info.json, the Presentation manifest, the viewer's own lists
- workers: decoding threads behind a bounded queue
- app: the ASGI application: routes, headers, refusals
- server: uvicorn around it: sockets, slow clients, shutdown, log
- assets/: the viewer page with OpenSeadragon
"""
