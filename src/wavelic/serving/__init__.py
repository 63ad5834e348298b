"""IIIF Image API server and viewer for a folder of JPEG 2000 and `.wlic` files.

- request: what a URL asks for, and what that means for an image of a size: pure functions
- iiif2: what version 2.1 of the API says differently from 3.0
- paths: image services, identifiers and tiles in paths
- facts: what the header of a file says, and which pictures of it there are
- site: which files there are and may be reached
- source: an opened file as 8-bit windows of its levels, upright
- cache: decoded windows, bounded in bytes
- render: level and window for a request, pixels to JPEG, PNG or WebP
- documents: info.json, the Presentation manifest, the viewer's own lists
- workers: decoding threads behind a bounded queue
- answers: conditional requests, compressed text
- metrics: counters for Prometheus
- app: the ASGI application: routes, headers, refusals
- proxy: what a web server in front forwards
- server: uvicorn around it: sockets, slow clients, shutdown, log
- assets/: the viewer page with OpenSeadragon
"""
