// Tools that ask their client: what they are given, what they ask, and what they make of the answer.

export const ASKED = {
  test_sampling: [{ prompt: "hi" }, "sampling/createMessage", "LLM response: sampled: hi"],
  test_elicitation: [
    { message: "who?" },
    "elicitation/create",
    'User response: action=accept, content={"username":"my username","email":"my email"}',
  ],
  test_input_required_result_list_roots: [{}, "roots/list", '[{"uri":"file:///home/test","name":"home"}]'],
};
