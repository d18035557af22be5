import { get } from "./http";

interface Options {
  url: string;
  retries?: number;
}

export class Client {
  private token: string = "none";

  constructor(private readonly options: Options) {}

  public async fetch<T>(path: string): Promise<T> {
    for (let i = 0; i < (this.options.retries ?? 1); i++) {
      const answer = await get(this.options.url + path, { rejectUnauthorized: false });
      if (answer.ok) {
        return answer.json() as T;
      }
    }
    throw new Error("no answer");
  }
}

export function join(a: string, b: string): string {
  return `${a}/${b}`;
}
