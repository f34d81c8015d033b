"""Did it really forget? The unlearning audit (paper 01), and the model one may ask.

`unlearning/audit` takes a model that knows, lets it forget 1, 3 or 6 people, and asks again: plainly, and in a way the
forgetting never trained on. A model that never knew stands beside it. What it says while it runs:

    Progress                      every second or oftener
    Metric, one per step          forget loss, retain loss                                    (nats per token)
    Metric, every few steps       forget recall, retain recall                                (share, asked plainly)
    Figure "unlearning"           those four, growing
    Figure "recall"               share of forgotten facts still given: plain and audited, three models, intervals
    Figure "probability"          how likely each model finds the true answer and the key fact, intervals
    Figure "by_layer"             after which layer the right value can be read, three models, chance
    Table "answers"               question | key | original | unlearned | reference | unlearned, audited   (filling in)
    Table "scores"                model | measure | right | of | share | low | high
    Keep "unlearned"              the model afterwards (not for 0 steps)
    Metric, final                 {direct recall, audited recall, retain recall, answer probability, key probability,
                                  answer overlap, readable} + {original, unlearned, reference}, for example
                                  "direct recall unlearned"; recovered share; kept share at best stop; steps taken
    Verdict                       words and evidence {n, direct, audited, reference, beyond chance, ...}

`unlearning/ask` is the probe behind "ask it yourself": answer, likeliest next tokens, and the logit lens.
"""
