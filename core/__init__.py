"""The engine and the science of Glassbox Lab. Nothing in here knows about a page."""
