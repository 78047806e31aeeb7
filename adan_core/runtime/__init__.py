"""The composition root: builds a core from settings, owns every thread, and is the door clients knock on."""
