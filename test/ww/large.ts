const CHARACTERS = 1_048_576

/** A component with what files of users have: comments, texts with escapes and variables, lists, hooks, nested blocks. */
function component(index: number): string {
  return `# component ${index}
agent_${index} = agent llm {
  model: llm_${index}
  api_key: $OPENAI_API_KEY
  prompt: "You are agent ${index}; be brief, say \\"no\\" and use \${NAME}"
  tools: [tool_a, tool_b, "tool_c"]
  planning: True
  hooks: [
    { event: "agent.thought", script_path: "hooks/a.py", function_name: "log" },
    { event: "tool.call", script_path: "hooks/a.py", function_name: "log" }
  ]
  env: { A: $B, "C-D" = 'x', N: 0.75 }
}
`
}

/** A file of 1 MB, and how many components it declares. */
export function largeFile(): { readonly text: string; readonly components: number } {
  const parts: string[] = []
  for (let length = 0; length < CHARACTERS; length += parts.at(-1)?.length ?? 0) parts.push(component(parts.length))
  return { text: parts.join(''), components: parts.length }
}
