"""Which files of the Python package chatterbot-corpus hold sentences, and their sha256."""

REQUIREMENT = "chatterbot-corpus==1.3.3"

LICENCE = "BSD-3-Clause"

FILES: dict[str, tuple[str, dict[str, str]]] = {
    "en": (
        "chatterbot_corpus/data/english",
        {
            "ai.yml": "620a65787a56641db4a03e1419a7578e813967218cf6721e3ea4ef90844916aa",
            "botprofile.yml": "1a694c5288f3f8f87d027d2f98dae71d02efa88e28853a6e5d27e6dbce907294",
            "coding.yml": "1726a8900a82ee32dad559809564f9ae97df9c52f42a8f1fcde84b1d54b1d260",
            "computers.yml": "a222c5a432efe4289e6c5edf1c3d99fd26c48df99db0ff893d1d5ab569f5b750",
            "conversations.yml": "1cf105b5802f377b2dc145f741f7df85629c9ca27e450538165286a75b5e3416",
            "emotion.yml": "510a018938c1880dd0f67e1ae458e26878c91a570daef5a84fb83713c89f0989",
            "food.yml": "68eab2497721d03044d520b70c27d8a0d8ba8e505b3265fb3a1ff3e1a64c7124",
            "gossip.yml": "d6f1b1613ed70821fc1c427bdd00395f58b77ff57d76fbe4ab8cb2038cf15c9b",
            "greetings.yml": "0dd7eb8dcee8e2a38cd1a137bcfbd7f3eb732cddfa1bd396fac5a24b063a4d55",
            "health.yml": "eb88edc5302d688ca096374c7e3f5b9d7cd821f053a17d80204c4acdc20ea4f5",
            "history.yml": "0ff4beeb6ef9b641dc12e1039a149c6a03eb8f2e183702fad2b0997fcc1d63e3",
            "humor.yml": "d2aa03a63f0e8e054589f642788afbc41b8c76f5d734c50901a9a63b359ea06b",
            "literature.yml": "9361ff1478273d811259ca307a1e6be23a5e08e776a5bc5d9524fb13deb886f1",
            "money.yml": "2911d9766625ff5c2feb3d784f2951b2ebd5e9658547efce7568d0282c49274b",
            "movies.yml": "075ca9d91a527206c635c88bf0353323826a25a6f2057be1bc71888af389f842",
            "politics.yml": "c436d5efedea6f715a8a811423a8edf396097771eb11e43b1f0a43a6aee7c2f0",
            "psychology.yml": "5047c211d35f715af4fbc3398f111135e99d34afcd0905a661c40bdeb1413a58",
            "science.yml": "3c259799bba36c67a1601fc264ec01ab051e9e63950734ce1ef644e022081fe7",
            "sports.yml": "8d1bcc632cad4058e3b8490daa15dcd7c2a51790a7b9140b252600b794590403",
            "tech_support.yml": "8a87cdf32579c8efdd9c5f3ef166ae9fb76dcf271b958f5e2265b9246b430655",
            "trivia.yml": "3a9de77e6d82803d1ea3eba48cf6543c884908f4c4f50501fed69f88112994dc",
        },
    ),
    "es": (
        "chatterbot_corpus/data/spanish",
        {
            "IA.yml": "bc957391bcce00059e1e08be0f97635e72a2e8279f8d281e2c99f80629a22a70",
            "conversations.yml": "4c916eecd8f48e48d9e24de437eb7ecaa91f42928837dbe85644967a7cac3f63",
            "dinero.yml": "06b580c9c8ad691bd98b39bd643c07a896576c24d1f441cd21b5cea149778836",
            "emociones.yml": "a1c87d60b6fc326a7749de8c7514e3919710a1148c1df4ca31ef0741159c944e",
            "greetings.yml": "8af4572c445a60f1a65aee9a39136c2085c8f7277d630f16394ce0abfe5c7f27",
            "origen.yml": "cfec212a39f62a78db95e833be4edcfe9120e05f173260f10e1c997ff7f3ee60",
            "perfilbot.yml": "f552fa0ea7ce9181c040ce6440a041eef304ceff1537060a6269fa087bdd7e07",
            "psicologia.yml": "eceb9bee35d17d6d35180871d39f62c84805298651f8f504e4549acd14c81861",
            "trivia.yml": "e935882cfd7c870ff5ec5b047f684ced86d1a4a05daa8d79954b9d98a14fed54",
        },
    ),
    "it": (
        "chatterbot_corpus/data/italian",
        {
            "ai.yml": "6badb6e56a567a18cd7bca66606711182eb8085a817971abfe5e77e9e1598e27",
            "botprofile.yml": "386da7d969feabfef664d9b06ada0c117fcdefad9cb7350f8bdef7ea392de694",
            "computers.yml": "3ae841849235fdbee88872dd4cda2be8bc253e96aae22568e806c9901cc69bf5",
            "conversations.yml": "c063ecc887f838985ce8ae450ba40a8b26f2472b5f91db40e15a90ba87d5c87a",
            "emotion.yml": "d2f00d6d1dbab01f017a4d065fe59788f7bf1818e61b3fe209ad330bed5ec017",
            "food.yml": "fed05c81f825d2deb1021889936f0b171cd80cf976f28c16551f0d06bc5d45af",
            "gossip.yml": "5332779dcbffefa7a18a6ce6913ee9a242f7af96e534965b0c7a5de100022b47",
            "greetings.yml": "88dff90d15efedc6827620dd54144036cfe6f9dcfbd2283c9c66a29d4ca65524",
            "health.yml": "efd5c0fd612cf7c9051712b33c7de1d3e4ad239c57d11cc6d737f59396ad5b93",
            "history.yml": "f0efe904950de8978567260a172bea3b00efee98842260512731a9a92de2b412",
            "humor.yml": "8c3e5eed5901781e285171fb7e739fc23bbc2a55ced1fdbff0598b22f74a80cd",
            "literature.yml": "bfbc5eabd2dd33b159a35810ef511f41ab8d61ff2f52d8f8bc46dde83b736486",
            "money.yml": "90d680b155d7d5764f6a27d6400520001fbf0a53c1dca007bc16ff07eb900de1",
            "movies.yml": "49e870a852d9411e02aa4234bae718357744a2c896c29f2f3c0cf469ebc50d03",
            "politics.yml": "0f573b850ae0c0212016cbae37d07e4ad45f869a9f178026e204c65746e23f8f",
            "psychology.yml": "1668cbb9c5bfa0f2d34d07b7e97b24232c92723f3a61e2d5a552369d5c315802",
            "science.yml": "bc4970e0ff25aca026679233a86155c9bad21cd36b7088a0fc0ec081d2118e18",
            "sports.yml": "0e0ba943c658afdc89b121f2e490bb9d303cf66975be8246951cbcdc69cbc81b",
            "trivia.yml": "73b990c0b3cba266565df3c512ce4051329e828a9824df28d708e3efcfaf9310",
        },
    ),
}
"""For each language the folder in the package, and its files."""
