"""A plug-in of vLLM: an exported model is connected in `vllm serve` and `LLM(...)` (docs/serving.md).

`plugin.register` is the entry point, in every process of vLLM. `configuration` checks how an engine is set
up, before it starts, and `front_end` each request. `scheduling` lives in the engine; `model`, `taps`,
`runner` and `narrow` in the workers. `translation` has its halves in the front end and the engine, and
`streams` sends back what was connected.
"""
