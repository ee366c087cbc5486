// The balancer's seven policies in plain words: a name to choose by, and what it does.

export const POLICIES = {
  round_robin: { name: "Each in turn", say: "One after the other, whatever they are doing." },
  weighted_round_robin: { name: "In turn, by weight", say: "In turn, but one with twice the weight gets two turns." },
  least_request: { name: "Fewer requests of two", say: "Draws two at random and takes the one with fewer requests under way." },
  p2c_peak_ewma: { name: "Less busy of two", say: "Draws two at random and takes the one that is quicker and less loaded." },
  random: { name: "At random", say: "Draws one at random, by weight. It knows nothing and needs nothing." },
  ip_hash: { name: "Same for one address", say: "One client address always gets the same instance, as long as it is there." },
  sticky_cookie: { name: "Same for one browser", say: "A cookie names the instance, so that a browser comes back to the one that knows it." },
};

export const policyName = (id) => POLICIES[id]?.name ?? id;
