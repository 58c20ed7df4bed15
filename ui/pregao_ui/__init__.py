"""The control panel: FastAPI, a push stream, and Gradio."""
