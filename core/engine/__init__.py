"""The engine: experiments run, probes answer, and everything they say is recorded.

    from core.engine.runner import Engine

    engine = Engine()
    run = engine.start("unlearning/audit", {"algorithm": "npo"}, seed=0)
    for event in engine.watch(run.id):
        print(event["kind"], event)
"""
